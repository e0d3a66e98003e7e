// While a client renews its certificate, the same refresh token comes from two certificates. A third one is a thief's.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshAsOthers, renew, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-during-renewal',
  sentence: 'A client retries a refresh with its renewed certificate; a thief repeats the same refresh.',
  stolen: 'the refresh token, just used',
  thief: 'their own certificates: of another client, unregistered, or none',
  control: 'the refresh with the old certificate, and its retry with the renewed one',
  expected: 'refused: a retry is for the client of the token',
  demandedBy: ['RFC 6749 §6, §10.4', 'RFC 8705 §7.1', 'RFC 9700 §4.14'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare the client of a refresh token before a lost answer is repeated',
  async run(stage) {
    const { connection, refreshToken } = await startGrant(stage)
    const renewed = await renew(stage)
    const controls = [
      await attempt('with the old certificate', () => refresh(stage, connection, refreshToken)),
      await attempt('the retry with the renewed certificate', () => refresh(stage, renewed, refreshToken)),
    ]
    if (controls[0]?.result === 'accepted' && controls[1]?.result !== 'accepted')
      throw new NotTried(`the server does not repeat an answer to a renewed certificate: ${controls[1]?.seen}`)
    return { controls, thefts: await refreshAsOthers(stage, refreshToken) }
  },
}
