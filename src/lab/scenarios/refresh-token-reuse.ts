// When two parties present the same refresh token, one is a thief. The second use shows it, and must end both.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-token-reuse',
  sentence: 'A thief refreshes first, and continues; then the client presents the refresh token that was already used.',
  stolen: 'the refresh token, the certificate and the private key of its client',
  thief: 'a connection as that client',
  control: 'two earlier refreshes, each with the latest token',
  expected: 'the used token is refused, and afterwards all tokens issued from it',
  demandedBy: ['RFC 9700 §4.14.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Revoke the whole grant when a used refresh token is presented again',
  async run(stage) {
    const { connection, refreshToken: first } = await startGrant(stage)
    const thief = await stage.connectTo(stage.options.profile.tokenEndpoint, stage.cast.alice)
    let token = first
    const controls = []
    for (const what of ['the first refresh', 'the second refresh'])
      controls.push(
        await attempt(what, async () => {
          const answer = await refresh(stage, thief, token)
          token = refreshTokenOf(answer) ?? token
          return answer
        }),
      )
    if (token === first) throw new NotTried('the server does not rotate refresh tokens, so it allows a second use')
    await stage.wait(pause)
    const thefts = [
      await attempt('the used refresh token', () => refresh(stage, connection, first)),
      await attempt('the latest refresh token', () => refresh(stage, thief, token)),
    ]
    return { controls, thefts }
  },
}

/** Seconds to wait: simultaneous uses may be a race of one client, and do not revoke a grant. */
const pause = 2
