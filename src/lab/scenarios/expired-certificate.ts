// A certificate expires before the token that is bound to it. A server that checks a certificate only once, or never
// checks its validity, still accepts the token.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { issueShortLived, outlive } from '../short-lived.ts'

export const scenario: Scenario = {
  id: 'expired-certificate',
  sentence: 'A token is used with the certificate that it was issued to, after the certificate has expired.',
  stolen: 'the token',
  thief: 'the expired certificate and its private key, for example from an old backup',
  control: 'the token while the certificate is valid',
  expected: 'refused after the expiry; tlsbound also refuses it on connections opened before',
  demandedBy: ['RFC 5280 §6.1.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare notAfter of the client certificate with the clock in every request, not only in the handshake',
  async run(stage) {
    const shortLived = issueShortLived(stage)
    const { connection, token } = await stage.victim(shortLived)
    const controls = [await attempt('while the certificate is valid', () => stage.use(connection, token))]
    await outlive(stage, shortLived)
    const thefts = [await attempt('on a new connection', async () => stage.use(await stage.connect(shortLived), token))]
    // RFC 8705 does not define what happens to connections opened before the expiry.
    if (stage.options.profile.name === 'tlsbound')
      thefts.push(await attempt('on its own connection', () => stage.use(connection, token)))
    return { controls, thefts }
  },
}
