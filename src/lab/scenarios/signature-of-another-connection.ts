// A signature covers the channel binding of its connection, so it is invalid on any other.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import {
  note,
  presentHonest,
  requireSignedResource,
  type SignedCall,
  send,
  signCall,
  withFields,
} from '../signature.ts'
import { openThief, requireOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'signature-of-another-connection',
  sentence: 'A signed request is sent on another connection than the one that it was made for.',
  stolen: 'signed requests that were not sent, with their token',
  thief: 'a connection with the same certificate and private key, or with others',
  control: 'signed requests on their own connection, and with signatures of their own on a second one',
  expected: 'refused',
  demandedBy: ['RFC 9266 §1', 'RFC 9421 §7.2.2, §7.2.5'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare TLS-Channel-Binding, which the signature must cover, with the channel binding of the connection',
  async run(stage) {
    requireSignedResource(stage)
    const client = await stage.victim()
    const second = await stage.connect(stage.cast.alice)
    // At level connection the second connection needs a token of its own: the stolen request cannot be used there at all.
    const own = { connection: second, token: await stage.tokenFor(second) }
    const controls = [...(await presentHonest(stage, client)), ...(await presentHonest(stage, own))]
    const others = [second, (await openThief(stage)).connection, await stage.connect(requireOther(stage))]
    const thefts = []
    for (const [place, connection] of others.entries()) {
      const calls: Readonly<Record<string, SignedCall>> = {
        'a GET': signCall(stage, client),
        'a POST': signCall(stage, client, { body: note }),
      }
      for (const [what, { proof: _, ...call }] of Object.entries(calls))
        thefts.push(
          await attempt(`${what} on ${places[place]}`, () =>
            send(
              { connection },
              { ...call, ...(stage.level === 'proof' && { proof: connection.prove(client.token) }) },
            ),
          ),
        )
    }
    const uncovered = { uncovered: ['tls-channel-binding'] }
    const unbound = { fields: { 'tls-channel-binding': undefined } }
    const here = signCall(stage, own).headers?.['tls-channel-binding'] as string
    const forgeries: Readonly<Record<string, SignedCall>> = {
      'with the binding of that connection, not covered': withFields(signCall(stage, own, {}, uncovered), {}),
      'with another binding in the field': withFields(signCall(stage, client), { 'tls-channel-binding': here }),
      'without a binding': signCall(stage, own, {}, unbound),
    }
    for (const [what, call] of Object.entries(forgeries)) thefts.push(await attempt(what, () => send(own, call)))
    return { controls: [...controls, ...(await presentHonest(stage, own))], thefts }
  },
}

const places = ['a second connection of the client', 'the connection of a thief', 'one with another certificate']
