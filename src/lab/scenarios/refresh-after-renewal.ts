// A refresh token that moved to a renewed certificate must not live on at the old one.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, renew, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-after-renewal',
  sentence: 'After a renewal, the refresh token from before is used with the old certificate.',
  stolen: 'the refresh token, the old certificate and its private key, as on an old disk',
  thief: 'a connection with the old certificate',
  control: 'two refreshes with the renewed certificate',
  expected: 'refused: the client has used the token and its successor',
  demandedBy: ['RFC 8705 §7.1', 'RFC 9700 §4.14.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Move the grant to the renewed certificate; do not copy it',
  async run(stage) {
    const { connection: old, refreshToken: first } = await startGrant(stage)
    const renewed = await renew(stage)
    let token = first
    const use = async () => {
      const answer = await refresh(stage, renewed, token)
      token = refreshTokenOf(answer) ?? token
      return answer
    }
    const moved = await attempt('the first refresh', use)
    if (moved.result !== 'accepted')
      throw new NotTried(`the server does not accept a refresh token with a renewed certificate: ${moved.seen}`)
    const controls = [moved, await attempt('the second refresh', use)]
    if (token === first) throw new NotTried('the server does not rotate refresh tokens, so it allows a second use')
    const thefts = [await attempt('the first refresh token with the old certificate', () => refresh(stage, old, first))]
    return { controls, thefts }
  },
}
