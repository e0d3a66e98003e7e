// A refresh token is long-lived, so only the client that it was issued to may use it.
import { attempt } from '../attempt.ts'
import { refresh, refreshAsOthers, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-by-another-client',
  sentence: 'A stolen refresh token is used with other certificates, with both client_ids, and without a certificate.',
  stolen: 'the refresh token',
  thief: 'their own certificates: of another client, unregistered, or none',
  control: 'a refresh by its client, on another connection',
  expected: 'refused',
  demandedBy: ['RFC 6749 §6, §10.4', 'RFC 8705 §7.1', 'RFC 9700 §4.14'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Bind refresh tokens to the certificate of their client, and compare it at every refresh',
  async run(stage) {
    const { alice } = stage.cast
    const first = await startGrant(stage)
    const elsewhere = await stage.connectTo(stage.options.profile.tokenEndpoint, alice)
    const controls = [await attempt('by its client', () => refresh(stage, elsewhere, first.refreshToken))]

    const { refreshToken } = await startGrant(stage)
    return { controls, thefts: await refreshAsOthers(stage, refreshToken) }
  },
}
