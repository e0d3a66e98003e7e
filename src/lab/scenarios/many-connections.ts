// One token on many connections at once: a verdict that is cached in the wrong place, or shared between concurrent
// requests, lets a thief in.
import { type Attempt, attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'many-connections',
  sentence: 'A token is used on many connections at the same time, while its client uses it too.',
  stolen: 'the token, at level proof also a proof',
  thief: 'their own certificates; at level proof and connection the certificate and the private key of its client',
  control: 'the token on the connection of its client, at the same time',
  expected: 'refused on every other connection',
  demandedBy: ['RFC 8705 §3', 'level proof', 'level connection'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Compare the cnf of the token with the certificate and the binding of the connection in every request; do not cache a decision beyond its connection',
  async run(stage) {
    const client = await stage.victim()
    const loot = steal(stage, client)
    const controls: Attempt[] = []
    const control = async () => {
      controls.push(await attempt('by its client', () => stage.use(client.connection, client.token)))
    }
    await control()
    const count = Math.min(crowd, stage.options.maximumConnections - stage.connections)
    const thieves = Array.from({ length: count }, () => openThief(stage))
    await Promise.allSettled(thieves) // so that all requests are concurrent
    const played = thieves.map(thief =>
      attempt('on another connection', async () => (await thief).connection.call(stage.resourcePath, loot)),
    )
    const [thefts] = await Promise.all([Promise.all(played), control()])
    await control()
    return { controls, thefts }
  },
}

/** The number of thieves. */
const crowd = 8
