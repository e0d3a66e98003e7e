// A refresh token is long-lived, so only the client that it was issued to may use it.
import { attempt } from '../attempt.ts'
import type { Identity } from '../cast.ts'
import { refresh, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'

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
    const { alice, bob, mallory, stranger } = stage.cast
    const first = await startGrant(stage)
    const elsewhere = await stage.connectTo(stage.options.profile.tokenEndpoint, alice)
    const controls = [await attempt('by its client', () => refresh(stage, elsewhere, first.refreshToken))]

    const { refreshToken } = await startGrant(stage)
    const thieves: Record<string, readonly [Identity | null, string]> = {
      'without a certificate': [null, alice.clientId],
      ...(bob && {
        'by another client': [bob, bob.clientId],
        'by another client, with the client_id of the victim': [bob, alice.clientId],
      }),
      ...(mallory && { 'with an unregistered certificate': [mallory, alice.clientId] }),
      ...(stranger && { 'with a certificate of an untrusted authority': [stranger, alice.clientId] }),
    }
    const thefts = []
    for (const [what, [who, client_id]] of Object.entries(thieves))
      thefts.push(
        ...(await playSeries(
          async () => ({ connection: await stage.connectTo(stage.options.profile.tokenEndpoint, who) }),
          { [what]: client_id },
          ({ connection }, client_id) => refresh(stage, connection, refreshToken, { client_id }),
        )),
      )
    return { controls, thefts }
  },
}
