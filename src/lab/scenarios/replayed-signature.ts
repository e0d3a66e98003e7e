// A signature is accepted once, or a thief who can write to the connection repeats what its client did.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { note, presentHonest, requireSignedResource, type SignedCall, send, signCall } from '../signature.ts'

export const scenario: Scenario = {
  id: 'replayed-signature',
  sentence: 'A signed request is sent again on its own connection.',
  stolen: 'a signed request that was sent, and use of the connection',
  thief: 'the connection, but not the key',
  control: 'each request once, and further requests with signatures of their own',
  expected: 'refused the second time',
  demandedBy: ['RFC 9421 §7.2.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Remember the nonce of each signature until it expires, for each connection, and refuse it the second time',
  async run(stage) {
    requireSignedResource(stage)
    const client = await stage.victim()
    const calls: Readonly<Record<string, SignedCall>> = {
      'a GET': signCall(stage, client),
      'a POST': signCall(stage, client, { body: note }),
    }
    const controls = await presentHonest(stage, client)
    const thefts = []
    for (const [what, call] of Object.entries(calls)) {
      controls.push(await attempt(what, () => send(client, call)))
      thefts.push(await attempt(`${what}, again`, () => send(client, call)))
    }
    controls.push(...(await presentHonest(stage, client)))
    for (const [what, call] of Object.entries(calls))
      thefts.push(await attempt(`${what}, after others`, () => send(client, call)))
    return { controls, thefts }
  },
}
