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
  thief: 'their own certificate, or none; for an incomplete thumbprint the connection of the client',
  control: "the same claims with a complete cnf, signed with the issuer's key, on the connection of the client",
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
  'cnf is null': null,
  'cnf is empty': {},
  'cnf is an array': [],
  'cnf is a string': 'x5t#S256',
  'cnf is true': true,
  'cnf is zero': 0,
  'cnf with jkt alone': { jkt: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' },
  'x5t#S256 is null': { 'x5t#S256': null },
}

/** Values that a faulty server may compute when there is no certificate. */
const empty: Readonly<Record<string, string>> = {
  'x5t#S256 is empty': '',
  'x5t#S256 is the hash of empty input': '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
  'x5t#S256 is the string undefined': 'undefined',
}

type Half = (cnf: Readonly<Record<string, string>>, x5t: string) => object

const halves: Readonly<Record<string, Half>> = {
  'x5t#S256 is truncated': (cnf, x5t) => ({ ...cnf, 'x5t#S256': x5t.slice(0, 20) }),
  'x5t#S256 with additional characters': (cnf, x5t) => ({ ...cnf, 'x5t#S256': `${x5t}AA` }),
  'x5t#S256 in lower case': (cnf, x5t) => ({ ...cnf, 'x5t#S256': x5t.toLowerCase() }),
  'x5t#S256 under another name': ({ 'x5t#S256': x5t, ...cnf }) => ({ ...cnf, x5t, 'x5t#s256': x5t }),
}
