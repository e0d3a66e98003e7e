// What if the issuer itself makes a mistake? A token that says nothing of whom it belongs to must belong to nobody.
import { attempt, NotTried } from '../attempt.ts'
import { readToken } from '../forge.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'broken-confirmation',
  sentence: 'Tokens of the issuer, with a good signature, have no cnf, an empty one, or half of one.',
  stolen: 'such a token',
  thief: 'a certificate of their own, or none; and the client, where its certificate is only half named',
  control: "the same claims with their right cnf, signed with the issuer's key, on the connection of the client",
  expected: 'refused',
  demandedBy: ['RFC 8705 §3', 'RFC 7800 §3.1', 'FAPI 2.0 §5.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Reject every token without a complete cnf; a missing member must not switch the check off',
  async run(stage) {
    const { signClaims } = stage.cast
    if (signClaims === undefined) throw new NotTried("the issuer's key is not at hand")
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

/** What the thumbprint of nothing could be. */
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
