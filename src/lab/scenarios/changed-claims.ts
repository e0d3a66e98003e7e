// Anyone can read and rewrite the claims of a JWT; only the signature protects them.
import { attempt } from '../attempt.ts'
import { confirmationOf, encode, joinToken, readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'changed-claims',
  sentence: 'The cnf of a stolen token is removed, emptied or changed to fit the thief, with the old signature.',
  stolen: 'the token',
  thief: 'their own certificate; and a client that extends its own token',
  control: 'the unchanged token, on the connection of its client',
  expected: 'refused, because the signature is no longer valid',
  demandedBy: ['RFC 7515 §5.2', 'RFC 9068 §4', 'RFC 8725 §3.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Verify the signature of every token, with the algorithms that you expect and the keys of the issuer only, before you read its claims',
  async run(stage) {
    const victim = await stage.victim()
    readToken(victim.token)
    const control = () => attempt('unchanged', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const thefts = [
      ...(await byAThief(stage, victim.token)),
      ...(await playSeries(
        () => stage.victim(),
        ofTheClient,
        ({ connection, token }, change) => stage.use(connection, change(token)),
        ', on its own connection',
      )),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

async function byAThief(stage: Stage, token: string) {
  const who = findOther(stage)
  if (who === null) return []
  const { header, claims, signature } = readToken(token)
  const { cnf, ...rest } = claims
  const changes: Record<string, (own: object) => unknown> = {
    'cnf removed': () => rest,
    'cnf is empty': () => ({ ...rest, cnf: {} }),
    'cnf is null': () => ({ ...rest, cnf: null }),
    'cnf of the thief': own => ({ ...rest, cnf: own }),
    'cnf twice': own => `{"cnf":${JSON.stringify(cnf)},${JSON.stringify({ ...rest, cnf: own }).slice(1)}`,
  }
  return playSeries(
    async () => ({ connection: await stage.connect(who) }),
    changes,
    ({ connection }, change) =>
      stage.use(connection, joinToken(header, change(confirmationOf(connection, stage)), signature)),
  )
}

/** On the connection of the client, only the signature prevents these changes. */
const ofTheClient: Readonly<Record<string, (token: string) => string>> = {
  'cnf with an additional member': changing(claims => ({ ...claims, cnf: { ...(claims.cnf as object), note: 'x' } })),
  'cnf with truncated values': changing(claims => ({ ...claims, cnf: cutShort(claims.cnf as object) })),
  'additional scope': changing(claims => ({ ...claims, scope: `${claims.scope ?? ''} admin`.trim() })),
  'a later expiry': changing(claims => ({ ...claims, exp: Number(claims.exp) + 3600 })),
  'claims with white space': changing(claims => JSON.stringify(claims, null, 1)),
  'claims with padding': token => token.replace(/\.([^.]*)\./, '.$1=.'),
  'another header': token => {
    const { header, claims, signature } = readToken(token)
    return joinToken({ ...header, cty: 'x' }, claims, signature)
  },
  'truncated token': token => token.slice(0, -4),
  'signature removed': token => token.slice(0, token.lastIndexOf('.')),
}

function changing(change: (claims: Readonly<Record<string, unknown>>) => unknown): (token: string) => string {
  return token => {
    const { claims, signature } = readToken(token)
    return `${token.slice(0, token.indexOf('.'))}.${encode(change(claims))}.${signature}`
  }
}

function cutShort(cnf: object = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(cnf).map(([member, value]) => [member, String(value).slice(0, 8)]))
}
