// Which headers are forwarded. Connection-specific ones are not, since each side has its own connection (RFC 9110
// §7.6.1). The sidecar sets those that identify the client. All others, including Forwarded and Cookie, are passed on
// as the program's own statements.
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'

/** Connection-specific headers (RFC 9110 §7.6.1, §11.7), and `trailer`, because trailers are not forwarded. */
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
/** Credentials: RFC 9110 §11.6.2, the draft of session-bound tokens §2.3, RFC 9440 §2. */
const ofIdentity = ['authorization', 'session-binding-proof', 'client-cert', 'client-cert-chain']
/** The upstream's host, a header that the sidecar answers, and one that gets a member. */
const madeAnew = ['host', 'expect', 'via']

const notForUpstream = new Set([...ofConnection, ...ofIdentity, ...madeAnew])
const notForProgram = new Set(ofConnection)

/** Builds the headers for the upstream: alternating names and values, in the original order. */
export function buildRequestHeaders({ rawHeaders, headers, httpVersion }: IncomingMessage): string[] {
  const nominated = readNominated(headers.connection)
  const passed: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase()
    // Programs behind an upstream may treat an underscore like a hyphen.
    if (notForUpstream.has(name.replaceAll('_', '-')) || nominated.has(name)) continue
    passed.push(name, rawHeaders[index + 1] as string)
  }
  const via = `${httpVersion} tlsbound`
  passed.push('via', headers.via === undefined ? via : `${headers.via}, ${via}`)
  return passed
}

/** Builds the headers for the program. A repeated header, such as Set-Cookie, stays a list. */
export function buildAnswerHeaders(headers: IncomingHttpHeaders, status: number): OutgoingHttpHeaders {
  const nominated = readNominated(headers.connection)
  const isFor = (name: string) => !notForProgram.has(name) && !nominated.has(name)
  const passed = Object.fromEntries(Object.entries(headers).filter(([name]) => isFor(name)))
  if (status === 204) delete passed['content-length'] // RFC 9110 §8.6
  return passed
}

/** Returns the names that a Connection header declares connection-specific. */
function readNominated(connection: string | string[] = []): ReadonlySet<string> {
  return new Set(
    String(connection)
      .toLowerCase()
      .split(/[\t ,]+/),
  )
}
