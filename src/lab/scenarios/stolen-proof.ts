// A proof is signed over keying material of its own connection, so it is invalid on any other.
import { attempt } from '../attempt.ts'
import { requireProofs } from '../proof.ts'
import type { Scenario } from '../scenario.ts'
import { findOther, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'stolen-proof',
  sentence: 'A token is used on another connection, with the binding proof of its own connection.',
  stolen: 'the token and its proof',
  thief: 'a connection with the same certificate and private key, or with others',
  control: 'the same token and proof on their own connection, more than once',
  expected: 'refused',
  demandedBy: ['draft-mw-oauth-tls-session-bound-tokens §3.3', 'level proof'],
  stoppedAt: ['proof'],
  remedy: 'Compare ekm in the proof with the exported keying material of the connection',
  async run(stage) {
    requireProofs(stage)
    const victim = await stage.victim()
    const { alice } = stage.cast
    const loot = steal(stage, victim)
    const control = (what: string) => attempt(what, () => victim.connection.call(stage.resourcePath, loot))
    const controls = [await control('on their own connection')]
    const other = findOther(stage)
    const steals = async (what: string, who: typeof other) =>
      attempt(what, async () => (await stage.connect(who)).call(stage.resourcePath, loot))
    const thefts = [await steals('on a second connection', alice), await steals('without a certificate', null)]
    if (other !== null) thefts.push(await steals('with another certificate', other))

    // A thief who has used the token there with their own proof replaces that by the stolen one.
    const second = await stage.connect(alice)
    controls.push(await attempt('a new proof on a second connection', () => stage.use(second, loot.token)))
    thefts.push(await attempt('on that connection, after a valid proof', () => second.call(stage.resourcePath, loot)))
    return { controls: [...controls, await control('on their own connection, again')], thefts }
  },
}
