// Of two headers, one may be verified and the other used, by two programs or by two parts of one.
import { attempt } from '../attempt.ts'
import { impersonate, isSame } from '../own-answer.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'
import { type Client, openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'two-authorization-headers',
  sentence: 'A stolen token is sent with another one in a second Authorization header, in both orders.',
  stolen: 'the token',
  thief: 'their own connection and, if they are a client, their own valid token',
  control: 'each token alone, on the connection of its own client',
  expected: "refused, or answered for the thief's own token",
  demandedBy: ['RFC 6750 §2, §3.1', 'RFC 9110 §5.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Reject a request with more than one Authorization header, with status 400',
  async run(stage) {
    const victim = await stage.victim()
    const loot = steal(stage, victim)
    const stolen = `Bearer ${loot.token}`
    const control = () => attempt('alone, by its client', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const pairs = {
      'after an invalid token': ['Bearer x', stolen],
      'before an invalid token': [stolen, 'Bearer x'],
      'after Basic credentials': ['Basic eDp4', stolen],
      twice: [stolen, stolen],
    }
    const thefts = await playSeries(
      () => openThief(stage),
      pairs,
      ({ connection }, authorization) => connection.call(stage.resourcePath, { ...loot, headers: { authorization } }),
    )
    if (stage.cast.bob !== undefined) {
      const thief = await stage.victim(stage.cast.bob)
      controls.push(await attempt("the thief's own token alone", () => stage.use(thief.connection, thief.token)))
      thefts.push(...(await besideTheirOwn(stage, victim, thief)))
    }
    return { controls: [...controls, await control()], thefts }
  },
}

async function besideTheirOwn(stage: Stage, victim: Client, thief: Client) {
  const own = await stage.use(thief.connection, thief.token)
  if (isSame(own, await stage.use(victim.connection, victim.token))) return []
  const [mine, theirs] = [`Bearer ${thief.token}`, `Bearer ${victim.token}`]
  const pairs = { "after the thief's own token": [mine, theirs], "before the thief's own token": [theirs, mine] }
  const found = []
  for (const [what, authorization] of Object.entries(pairs)) {
    const at = thief.connection.isOpen() ? thief : await stage.victim(thief.connection.who ?? undefined)
    const headers = { authorization: authorization.map(text => (text === mine ? `Bearer ${at.token}` : text)) }
    found.push(await impersonate(what, own, () => stage.use(at.connection, at.token, { headers })))
  }
  return found
}
