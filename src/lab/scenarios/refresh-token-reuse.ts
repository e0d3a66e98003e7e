// When two parties present the same refresh token, one may be a thief: the second use is refused, and the server notices it.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-token-reuse',
  sentence: 'A refresh token is used again, on two connections, after its successor was used.',
  stolen: 'the refresh token, the certificate and the private key of its client',
  thief: 'a connection as that client',
  control: 'two refreshes, each with the latest token',
  expected: 'refused; whether that ends the grant is a policy of the server (theft_response of tlsbound)',
  demandedBy: ['RFC 9700 §4.14.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Accept a used refresh token only while its successor is unused, to repeat a lost answer',
  async run(stage) {
    const { connection, refreshToken: first } = await startGrant(stage)
    const thief = await stage.connectTo(stage.options.profile.tokenEndpoint, stage.cast.alice)
    let token = first
    const controls = []
    for (const what of ['the first refresh', 'the second refresh'])
      controls.push(
        await attempt(what, async () => {
          const answer = await refresh(stage, connection, token)
          token = refreshTokenOf(answer) ?? token
          return answer
        }),
      )
    if (token === first) throw new NotTried('the server does not rotate refresh tokens, so it allows a second use')
    const thefts = [await attempt('the used refresh token', () => refresh(stage, thief, first))]
    await stage.wait(pause)
    thefts.push(await attempt('the same, two seconds later', () => refresh(stage, connection, first)))
    return { controls, thefts }
  },
}

/** Seconds to wait: some servers treat uses that are close together as a race of one client. */
const pause = 2
