// A certificate runs out before the token that is bound to it. A server that looks at a certificate once, or leaves its
// validity to nobody, goes on serving it.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { issueShortLived, outlive } from '../short-lived.ts'

export const scenario: Scenario = {
  id: 'expired-certificate',
  sentence: 'A token is used with the certificate that it was issued to, after that has expired.',
  stolen: 'the token',
  thief: 'the expired certificate and its private key, such as out of an old backup',
  control: 'the token while the certificate is valid',
  expected: 'refused from the expiry on, at tlsbound on connections that are older than that too',
  demandedBy: ['RFC 5280 §6.1.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare notAfter of the client certificate with the clock in every request, not only in the handshake',
  async run(stage) {
    const shortLived = issueShortLived(stage)
    const { connection, token } = await stage.victim(shortLived)
    const controls = [await attempt('while the certificate is valid', () => stage.use(connection, token))]
    await outlive(stage, shortLived)
    const thefts = [await attempt('on a new connection', async () => stage.use(await stage.connect(shortLived), token))]
    // RFC 8705 leaves open what becomes of a connection that was there before the expiry.
    if (stage.options.profile.name === 'tlsbound')
      thefts.push(await attempt('on its own connection', () => stage.use(connection, token)))
    return { controls, thefts }
  },
}
