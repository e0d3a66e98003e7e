// A revoked token must stay revoked in every spelling: its claims identify it, not its text.
import { attempt, describeAnswer, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { spellings } from '../spellings.ts'
import type { Stage } from '../stage.ts'
import type { Client } from '../thief.ts'

export const scenario: Scenario = {
  id: 'revoked-token',
  sentence: 'A token is used after its client has revoked it: unchanged, and in other spellings.',
  stolen: 'the token and access to its client',
  thief: 'the connection of its client',
  control: 'the token before its revocation, and another one of the same client afterwards',
  expected: 'refused within a second',
  demandedBy: ['RFC 7009 §2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Check revocation in every request, by the jti of the token and not by its text',
  async run(stage) {
    const victim = await stage.victim()
    const use = (text: string) => stage.use(victim.connection, text)
    const controls = [await attempt('before', () => use(victim.token))]
    const other = await stage.victim()
    await revoke(stage, victim)
    await untilRefused(() => use(victim.token))
    const thefts = [await attempt('unchanged', () => use(victim.token))]
    const connect = async () => ({ connection: await stage.connect(stage.cast.alice) })
    // If its own connection has ended, another one with the same certificate is equivalent below level connection.
    const open = async () => (victim.connection.isOpen() ? victim : connect())
    thefts.push(
      ...(await playSeries(open, spellings(victim.token), ({ connection }, text) => stage.use(connection, text))),
      ...(await playSeries(open, schemes, ({ connection }, scheme) =>
        stage.use(connection, victim.token, { headers: { authorization: `${scheme}${victim.token}` } }),
      )),
    )
    return {
      controls: [...controls, await attempt('another token', () => stage.use(other.connection, other.token))],
      thefts,
    }
  },
}

const schemes = {
  'with the scheme in lower case': 'bearer ',
  'with the scheme in upper case': 'BEARER ',
  'with two spaces after the scheme': 'Bearer  ',
}

/** @throws NotTried when the server revokes no access tokens. */
async function revoke(stage: Stage, { connection, token }: Client): Promise<void> {
  const { revocationEndpoint } = stage.options.profile
  if (revocationEndpoint === undefined) throw new NotTried('the server has no revocation endpoint')
  const at = await stage.reach(revocationEndpoint, connection)
  const form = { client_id: connection.who?.clientId ?? '', token, token_type_hint: 'access_token' }
  const answer = await stage.post(at, revocationEndpoint, form)
  if (answer.status !== 200) throw new NotTried(`the server does not revoke such a token: ${describeAnswer(answer)}`)
}

/** Servers of a group have one second to notify each other. */
async function untilRefused(use: () => Promise<{ readonly status: number }>): Promise<void> {
  for (let tries = 0; tries < 10; tries++) {
    if ((await use()).status >= 400) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
