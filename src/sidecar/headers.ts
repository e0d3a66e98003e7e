// Which headers pass. Each side of the sidecar has a connection of its own, and what is about a connection stays there
// (RFC 9110 §7.6.1). What says who somebody is, the sidecar says itself; all else, Forwarded and Cookie too, is the
// program's own word, which it could give without a sidecar as well.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'

/** RFC 9110 §7.6.1, §11.7; `trailer`, because trailers are not passed on. */
const ofConnection = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** RFC 9110 §11.6.2, the draft of session-bound tokens §2.3, RFC 9440 §2. */
const ofIdentity = ['authorization', 'session-binding-proof', 'client-cert', 'client-cert-chain']
/** The upstream's own host, an answer to the program, and one that gets a member. */
const madeAnew = ['host', 'expect', 'via']

const notForUpstream = new Set([...ofConnection, ...ofIdentity, ...madeAnew])
const notForProgram = new Set(ofConnection)

/** Builds what the upstream gets: names and values in turns, as they came. */
export function buildRequestHeaders({ rawHeaders, headers, httpVersion }: IncomingMessage): string[] {
  const nominated = readNominated(headers.connection)
  const passed: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase()
    // Programs behind an upstream may not tell an underscore from a hyphen.
    if (notForUpstream.has(name.replaceAll('_', '-')) || nominated.has(name)) continue
    passed.push(name, rawHeaders[index + 1] as string)
  }
  const via = `${httpVersion} tlsbound`
  passed.push('via', headers.via === undefined ? via : `${headers.via}, ${via}`)
  return passed
}

/** Builds what the program gets. A header that came several times, such as Set-Cookie, stays a list. */
export function buildAnswerHeaders(headers: IncomingHttpHeaders, status: number): OutgoingHttpHeaders {
  const nominated = readNominated(headers.connection)
  const isFor = (name: string) => !notForProgram.has(name) && !nominated.has(name)
  const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => isFor(name)))
  if (status === 204) delete passed['content-length'] // RFC 9110 §8.6
  return passed
}

/** The names that a Connection header keeps to its connection. */
function readNominated(connection: string | string[] = []): ReadonlySet<string> {
  return new Set(
    String(connection)
      .toLowerCase()
      .split(/[\t ,]+/),
  )
}
