// A token expires at its exp, also on a connection that has used it many times.
import { attempt, describeAnswer, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'expired-token',
  sentence: 'A token is used after its lifetime.',
  stolen: 'the token and access to its client',
  thief: 'the connection of its client',
  control: 'the token before its expiry',
  expected: 'refused',
  demandedBy: ['RFC 9068 §4', 'RFC 6750 §3.1'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Compare exp with the clock in every request, with at most a few seconds of leeway, also on connections that stay open',
  async run(stage) {
    const connection = await stage.connect(stage.cast.alice)
    const issuer = await stage.reach(stage.options.profile.tokenEndpoint, connection)
    const answer = await stage.requestToken(issuer)
    const { access_token: token, expires_in: lifetime } = answer.body ?? {}
    if (typeof token !== 'string') throw new NotTried(`no token was issued: ${describeAnswer(answer)}`)
    if (typeof lifetime !== 'number') throw new NotTried('the token response has no expires_in')
    const loot = steal(stage, { connection, token })
    const use = (what: string) => attempt(what, () => connection.call(stage.resourcePath, loot))
    const controls = [await use('before its expiry')]
    await stage.wait(lifetime + 1)
    return { controls, thefts: [await use('after its expiry')] }
  },
}
