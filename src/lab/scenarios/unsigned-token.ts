// The oldest attack on JWTs: a token whose header demands no signature.
import { attempt } from '../attempt.ts'
import { type Json, joinToken, readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'

export const scenario: Scenario = {
  id: 'unsigned-token',
  sentence: 'A token has no alg, or alg none in any spelling, with and without a signature.',
  stolen: "nothing: the claims are the client's own, so only the signature is tested",
  thief: 'a registered client, on its own connection',
  control: 'the same claims, signed by the issuer',
  expected: 'refused',
  demandedBy: ['RFC 8725 §2.1, §3.1', 'RFC 9068 §4'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Reject alg none in every spelling; allow only listed algorithms',
  async run(stage) {
    const victim = await stage.victim()
    readToken(victim.token)
    const control = () => attempt('signed by the issuer', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const thefts = await playSeries(
      () => stage.victim(),
      variants,
      ({ connection, token }, change) => {
        const { header, claims, signature } = readToken(token)
        return stage.use(connection, change(header, claims, signature))
      },
    )
    return { controls: [...controls, await control()], thefts }
  },
}

type Change = (header: Json, claims: Json, signature: string) => string

const spellings = ['none', 'None', 'NONE', 'nOnE', 'none ', '', null, ['none']]

const variants: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(
    spellings.flatMap((alg): [string, Change][] => [
      [`${JSON.stringify(alg)} without signature`, (header, claims) => joinToken({ ...header, alg }, claims)],
      [
        `${JSON.stringify(alg)} with the original signature`,
        (header, claims, signature) => joinToken({ ...header, alg }, claims, signature),
      ],
    ]),
  ),
  'no alg': ({ alg: _, ...header }, claims) => joinToken(header, claims),
  'alg none, no kid': ({ alg: _, kid: __, ...header }, claims) => joinToken({ ...header, alg: 'none' }, claims),
  'the original alg without signature': (header, claims) => joinToken(header, claims),
}
