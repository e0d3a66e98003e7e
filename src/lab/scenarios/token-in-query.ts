// URLs are stored in logs, browser histories and Referer headers, and so is a token in one of them.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { type Client, openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'token-in-query',
  sentence: 'A token is presented in the query of a URL.',
  stolen: 'the token, from an access log',
  thief: 'their own connection; also the connection of the client, because a token must not get into logs at all',
  control: 'the token in the header, on the connection of its client',
  expected: 'refused, also on the connection of the client',
  demandedBy: ['RFC 6750 §2.3, §5.3', 'RFC 9700 §4.3.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Ignore tokens in the query of a URL; accept only the Authorization header',
  async run(stage) {
    const victim = await stage.victim()
    const control = () => attempt('in the header', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const loot = steal(stage, victim)
    const join = stage.resourcePath.includes('?') ? '&' : '?'
    const present = ({ connection }: Pick<Client, 'connection'>, name: string, { token, ...proof } = loot) =>
      connection.call(`${stage.resourcePath}${join}${name}=${token}`, proof)
    const thefts = [
      ...(await playSeries(
        () => stage.victim(),
        names,
        (own, name) => present(own, name, steal(stage, own)),
      )),
      ...(await playSeries(
        () => openThief(stage),
        names,
        (thief, name) => present(thief, name),
        ', by a thief',
      )),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

const names = {
  'as access_token': 'access_token',
  'as access_token, percent-encoded': 'acc%65ss_token',
  'as token': 'token',
  'as jwt': 'jwt',
}
