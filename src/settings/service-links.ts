// Variables that Kubernetes adds to every pod for a service called `tlsbound` or `tlsbound-…`. They have the prefix of the settings,
// and one has the name of a setting: TLSBOUND_PORT=tcp://10.0.0.1:8443.

const names =
  /^TLSBOUND_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d{1,5}_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/
const portName = /^TLSBOUND_(?:\w+_)?PORT$/
const portValue = /^(?:tcp|udp|sctp):\/\/[\d.:a-f[\]]+:\d{1,5}$/i

/** Returns whether a variable is one of a service link, and so no setting. */
export function isServiceLink(name: string, value: string | undefined): boolean {
  return names.test(name) || (portName.test(name) && portValue.test(value ?? ''))
}

/** Returns a warning that names the service links of an environment; undefined if there are none. */
export function describeServiceLinks(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const links = Object.keys(env).filter(name => isServiceLink(name, env[name]))
  if (links.length === 0) return undefined
  return `ignored, because Kubernetes adds them for a service: ${links.join(', ')}; set enableServiceLinks: false in the pod`
}
