// Which headers are forwarded. Connection-specific ones are not, since each side has its own connection (RFC 9110
// §7.6.1). The sidecar sets those that identify the client. All others, including Forwarded and Cookie, are passed on
// as the program's own statements.
import type { IncomingMessage } from 'node:http'
import { connectionFields, readNominated } from '../relay/connection-fields.ts'

/** Credentials: RFC 9110 §11.6.2, the draft of session-bound tokens §2.3, the field of signed requests, RFC 9440 §2. */
const ofIdentity = [
  ...['authorization', 'session-binding-proof', 'tls-channel-binding'],
  ...['client-cert', 'client-cert-chain'],
]
/** The upstream's host, a header that the sidecar answers, and one that gets a member. */
const madeAnew = ['host', 'expect', 'via']

const notForUpstream = new Set([...connectionFields, ...ofIdentity, ...madeAnew])

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
