// Token exchange must not turn a stolen token into a valid new one.
import { attempt, NotTried } from '../attempt.ts'
import type { Answer } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import type { Speaker, Stage } from '../stage.ts'
import { type Loot, openThief, requireBob, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'exchanged-token',
  sentence: 'A stolen token is exchanged for a new one: by another client, and on another connection.',
  stolen: 'the token',
  thief: 'a registered client; where the level promises to stop it, also the private key',
  control: 'for each of two clients, the exchange of its own token',
  expected: 'refused',
  demandedBy: ['RFC 8693 §2.1', 'every level'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify the cnf of a subject_token as you do for an access token, before you exchange it',
  async run(stage) {
    if (stage.options.profile.name === 'rfc8705')
      throw new NotTried('RFC 8693 lets the server decide which client may exchange a token')
    if (!stage.options.profile.grantTypes.includes(tokenExchange))
      throw new NotTried('the metadata of the server does not list token exchange')
    const bob = await stage.victim(requireBob(stage))
    const victim = await stage.victim()
    const control = (what: string, { connection, token }: typeof victim) =>
      attempt(what, () => exchange(stage, connection, steal(stage, { connection, token })))
    const controls = [
      await control('by its client', victim),
      await control('by the other client, with its own token', bob),
    ]
    const loot = steal(stage, victim)
    const thefts = [
      await attempt('by another client', () => exchange(stage, bob.connection, loot)),
      await attempt('by another client, with its own proof', () =>
        exchange(stage, bob.connection, steal(stage, { ...bob, token: loot.token })),
      ),
    ]
    if (stage.level !== 'certificate') {
      const { connection } = await openThief(stage)
      thefts.push(await attempt('on another connection', () => exchange(stage, connection, loot)))
    }
    return { controls: [...controls, await control('by its client, again', victim)], thefts }
  },
}

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

async function exchange(stage: Stage, connection: Speaker, { token, proof }: Loot): Promise<Answer> {
  const issuer = await stage.reach(stage.options.profile.tokenEndpoint, connection)
  const form = {
    grant_type: tokenExchange,
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }
  return stage.requestToken(issuer, form, proof === undefined ? {} : { 'session-binding-proof': proof })
}
