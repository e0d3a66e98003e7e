// Own and stolen tokens on one connection at the same time: the verdict on one request must not be used for another.
// Over HTTP/1.1 they are pipelined, over HTTP/2 each has its own stream.
import { type Attempt, attempt } from '../attempt.ts'
import { pipeline } from '../pipeline.ts'
import type { Scenario } from '../scenario.ts'
import { openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'mixed-tokens',
  sentence: 'Own and stolen tokens are sent alternately on one connection, pipelined or on parallel streams of HTTP/2.',
  stolen: 'the token, at level proof also a proof',
  thief: 'their own certificate and tokens; at level proof and connection those of the client',
  control: "the thief's own tokens",
  expected: 'each request is decided by its own token',
  demandedBy: ['RFC 8705 §3', 'level proof', 'level connection'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify the token of each request, and do not store the result on the connection',
  async run(stage) {
    const client = await stage.victim()
    const loot = steal(stage, client)
    const controls = [await attempt('by its client', () => stage.use(client.connection, client.token))]
    const opened = (await openThief(stage)).connection
    const { socket } = opened
    const { resource } = stage.options.profile
    const thief = stage.options.http === 'h2' ? opened : { ...opened, call: pipeline(socket, resource.host) }
    const own = await stage.tokenFor(thief)
    const use = { own: () => stage.use(thief, own), stolen: () => thief.call(stage.resourcePath, loot) }
    const thefts: Attempt[] = []
    const play = async () => {
      const both = [attempt("the thief's own token", use.own), attempt('a stolen token', use.stolen)] as const
      const [honest, theft] = await Promise.all(both)
      controls.push(honest)
      thefts.push(theft)
    }
    // First while the server has not seen a token on this connection, then again.
    for (let round = 0; round < 2; round += 1) await Promise.all(Array.from({ length: turns }, play))
    return { controls, thefts }
  },
}

/** The number of pairs that are sent at once. */
const turns = 4
