// Where refresh tokens survive a renewal, a thief may pretend to be the renewal: a name alone is not one.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-before-renewal',
  sentence: 'Before its client renews its certificate, a stolen refresh token is used with a forged renewal.',
  stolen: 'the refresh token',
  thief: 'a certificate with the name of its client, from an own authority with the name of the real one',
  control: 'a refresh by its client, before and after the attempt',
  expected: 'refused',
  demandedBy: ['RFC 8705 §2.1', 'RFC 8705 §7.1', 'RFC 5280 §6'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify the signatures of the chain before a name in the certificate is compared',
  async run(stage) {
    const { alice, issue } = stage.cast
    if (issue === undefined) throw new NotTried('the names of the authority are not available to forge a certificate')
    const { connection, refreshToken: first } = await startGrant(stage)
    let token = first
    const use = async () => {
      const answer = await refresh(stage, connection, token)
      token = refreshTokenOf(answer) ?? token
      return answer
    }
    const before = await attempt('by its client', use)
    const forged = issue({ like: alice, isForged: true })
    const theft = await attempt('with a forged renewal', async () =>
      refresh(stage, await stage.connectTo(stage.options.profile.tokenEndpoint, forged), token),
    )
    return { controls: [before, await attempt('by its client again', use)], thefts: [theft] }
  },
}
