// Of two who have the same refresh token one is a thief. The second use shows it, and then neither may go on.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-token-reuse',
  sentence: 'A thief refreshes first, and goes on; then the client comes with the refresh token that was used already.',
  stolen: 'the refresh token, the certificate and the private key of its client',
  thief: 'a connection as that client',
  control: 'the two refreshes before that, each with the token that the last one gave',
  expected: 'the used token is refused, and from then on so is what came of it',
  demandedBy: ['RFC 9700 §4.14.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Revoke the whole grant when a used refresh token is presented again',
  async run(stage) {
    const { connection, refreshToken: first } = await startGrant(stage)
    const thief = await stage.connectTo(stage.options.profile.tokenEndpoint, stage.cast.alice)
    let token = first
    const controls = []
    for (const what of ['the first refresh', 'the second one'])
      controls.push(
        await attempt(what, async () => {
          const answer = await refresh(stage, thief, token)
          token = refreshTokenOf(answer) ?? token
          return answer
        }),
      )
    if (token === first) throw new NotTried('refresh tokens stay the same here, so a second use is meant to succeed')
    await stage.wait(pause)
    const thefts = [
      await attempt('the used one', () => refresh(stage, connection, first)),
      await attempt('what came of it', () => refresh(stage, thief, token)),
    ]
    return { controls, thefts }
  },
}

/** Seconds: two uses at the same time may be a race of one client, and are no reason to end a grant. */
const pause = 2
