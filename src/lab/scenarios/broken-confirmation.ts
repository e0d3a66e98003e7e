// Errors of the issuer itself: a token without a complete cnf must not be usable by anyone.
import { attempt, NotTried } from '../attempt.ts'
import { readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'broken-confirmation',
  sentence: 'Tokens of the issuer with a valid signature have no cnf, or an empty or incomplete one.',
  stolen: 'such a token',
  thief: 'their own certificate, or none; and the client, if its certificate is incompletely named',
  control: "the same claims with the right cnf, signed with the issuer's key, on the connection of the client",
  expected: 'refused',
  demandedBy: ['RFC 8705 §3', 'RFC 7800 §3.1', 'FAPI 2.0 §5.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Reject every token without a complete cnf; a missing member must not disable the check',
  async run(stage) {
    const { signClaims } = stage.cast
    if (signClaims === undefined) throw new NotTried("the issuer's key is not available")
    const victim = await stage.victim()
    const { header, claims } = readToken(victim.token)
    const sign = (changes: object) => signClaims(header, { ...claims, ...changes })
    const control = () => attempt('with its cnf', () => stage.use(victim.connection, sign({})))
    const controls = [await control()]
    const other = findOther(stage)
    const thefts = [
      ...(await playSeries(
        async () => ({ connection: await stage.connect(other) }),
        nothing,
        ({ connection }, cnf) => stage.use(connection, sign({ cnf })),
      )),
      ...(await playSeries(
        async () => ({ connection: await stage.connect(null) }),
        empty,
        ({ connection }, x5t) => stage.use(connection, sign({ cnf: { 'x5t#S256': x5t } })),
        ', without a certificate',
      )),
      ...(await playSeries(
        () => stage.victim(),
        halves,
        ({ connection, token }, change) => {
          const own = readToken(token).claims
          const cnf = own.cnf as Readonly<Record<string, string>>
          return stage.use(connection, signClaims(header, { ...own, cnf: change(cnf, cnf['x5t#S256'] ?? '') }))
        },
        ', on the connection of the client',
      )),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

const nothing: Readonly<Record<string, unknown>> = {
  'no cnf': undefined,
  'cnf null': null,
  'cnf empty': {},
  'cnf a list': [],
  'cnf a text': 'x5t#S256',
  'cnf true': true,
  'cnf zero': 0,
  'a key in its place': { jkt: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' },
  'a thumbprint that is null': { 'x5t#S256': null },
}

/** Thumbprints that stand for nothing. */
const empty: Readonly<Record<string, string>> = {
  'an empty thumbprint': '',
  'the thumbprint of nothing': '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
  'a thumbprint undefined': 'undefined',
}

type Half = (cnf: Readonly<Record<string, string>>, x5t: string) => object

const halves: Readonly<Record<string, Half>> = {
  'a thumbprint cut short': (cnf, x5t) => ({ ...cnf, 'x5t#S256': x5t.slice(0, 20) }),
  'a thumbprint with something behind it': (cnf, x5t) => ({ ...cnf, 'x5t#S256': `${x5t}AA` }),
  'a thumbprint in small letters': (cnf, x5t) => ({ ...cnf, 'x5t#S256': x5t.toLowerCase() }),
  'a thumbprint under another name': ({ 'x5t#S256': x5t, ...cnf }) => ({ ...cnf, x5t, 'x5t#s256': x5t }),
}
