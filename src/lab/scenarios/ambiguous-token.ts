// Of two Authorization headers, a proxy may read one and the server the other, so no server should guess.
// RFC 6750 §3.1 recommends to reject such a request (SHOULD); the stronger levels do so.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'

export const scenario: Scenario = {
  id: 'ambiguous-token',
  sentence: 'A client sends two Authorization headers, or two tokens in one header, one of which is valid.',
  stolen: 'nothing; the server must not choose between two tokens',
  thief: 'a way to make a proxy and the server read different tokens',
  control: 'the valid token alone',
  expected: 'refused, in any order',
  demandedBy: ['RFC 6750 §3.1', 'RFC 9110 §5.3'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Reject a request with more than one Authorization header or more than one token, with status 400',
  async run(stage) {
    const victim = await stage.victim()
    const control = () => attempt('alone', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const thefts = await playSeries(
      () => stage.victim(),
      pairs,
      ({ connection, token }, pair) =>
        stage.use(connection, token, { headers: { authorization: pair(`Bearer ${token}`) } }),
    )
    return { controls: [...controls, await control()], thefts }
  },
}

const pairs: Readonly<Record<string, (good: string) => string | string[]>> = {
  'an invalid token, then a valid one': good => ['Bearer x', good],
  'a valid token, then an invalid one': good => [good, 'Bearer x'],
  'Basic credentials, then a valid token': good => ['Basic eDp4', good],
  'a valid token, then Basic credentials': good => [good, 'Basic eDp4'],
  'the valid token twice': good => [good, good],
  'an invalid and a valid token in one header': good => `Bearer x, ${good}`,
  'a valid and an invalid token in one header': good => `${good}, Bearer x`,
}
