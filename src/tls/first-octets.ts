// Recognizes the protocol of a connection by its first octets: PROXY headers of a load balancer, HTTP without TLS, or another
// protocol. Used only for the log, metrics and refusals, never for a decision.

/** The description of each kind, for messages. */
export const octetKinds = {
  tls: 'TLS',
  proxy_v1: 'a PROXY protocol header, version 1',
  proxy_v2: 'a PROXY protocol header, version 2',
  http: 'an HTTP request without TLS',
  http2: 'an HTTP/2 preface',
  ssh: 'an SSH client',
  unknown: 'unknown octets',
} as const

export type OctetKind = keyof typeof octetKinds

const beginnings: readonly (readonly [OctetKind, string])[] = [
  ['proxy_v1', 'PROXY '],
  ['proxy_v2', '\r\n\r\n\0\r\nQUIT\n'],
  ['http2', 'PRI * HTTP/2'],
  ['ssh', 'SSH-'],
]

/** Recognizes a protocol by its first octets. */
export function recognizeOctets(octets: Buffer): OctetKind {
  if (isTls(octets)) return 'tls'
  const start = octets.toString('latin1', 0, 32)
  const known = beginnings.find(([, beginning]) => start.startsWith(beginning))
  return known?.[0] ?? (/^[A-Z][A-Z-]{2,15} [^ ]/.test(start) ? 'http' : 'unknown')
}

/** Returns whether this may be the start of a TLS record, even a single octet, or an SSL 2.0 hello (RFC 5246 App. E.2). */
function isTls([type = 0, , third]: Buffer): boolean {
  return (type >= 20 && type <= 24) || (type >= 0x80 && third === 1)
}
