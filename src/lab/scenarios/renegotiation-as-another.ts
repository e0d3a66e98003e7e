// The second handshake of a TLS 1.2 connection can present another certificate. A server that stored the first one identifies
// the thief as the client that opened the connection.
import { attempt, NotTried } from '../attempt.ts'
import { connectOpenssl } from '../openssl-client.ts'
import type { Scenario } from '../scenario.ts'
import { requireOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'renegotiation-as-another',
  sentence: 'A TLS 1.2 connection is renegotiated with another certificate, and the earlier token is used on it.',
  stolen: 'the token, at level proof also a proof',
  thief: 'a connection that its client opened, and their own certificate',
  control: 'the token before the renegotiation',
  expected: 'no renegotiation, or the token refused after it',
  demandedBy: ['RFC 8705 §3', 'RFC 9266 §4.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Disable renegotiation, or read the client certificate again after it',
  async run(stage) {
    const { tls, http } = stage.options
    if (tls !== 'TLSv1.2') throw new NotTried('TLS 1.3 has no renegotiation')
    if (http === 'h2') throw new NotTried('HTTP/2 forbids renegotiation (RFC 9113 §9.2.1), so the lab does not try it')
    const thief = requireOther(stage)
    const client = await connectOpenssl(stage, stage.cast.alice)
    const token = await stage.tokenFor(client)
    const controls = [await attempt('before the renegotiation', () => stage.use(client, token))]
    const proof = stage.level === 'proof' ? { proof: client.prove(token) } : {}
    client.renegotiateAs(thief)
    const thefts = [
      await attempt('on the renegotiated connection', () => client.call(stage.resourcePath, { token, ...proof })),
    ]
    return { controls, thefts }
  },
}
