// The rules for the claims of a subject token whose signature is verified. RFC 8693 §2.1, §4; RFC 8725 §3.8, §3.9.
import t from 'tap'
import { readCertificate } from '../../src/core/presenter.ts'
import { narrowScope, verifyOutsideSubject } from '../../src/core/subject-token.ts'
import { parseTrustedIssuers } from '../../src/core/trusted-issuer.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { goodClaims, idp, outsideAudience } from '../helpers/tokens/outside-issuer.ts'

const now = 1_800_000_000
const presenter = { certificate: readCertificate(makeDemoPki().alice.x509), bindings: {} }
const [rules] = parseTrustedIssuers(
  [{ issuer: idp, audience: outsideAudience, jwks_file: 'x' }],
  { ours: 'https://x.example', profiles: {} },
  [],
)
if (rules === undefined) throw new Error('the rules are valid')
const by = { clientId: 'alice', presenter, now }
const read = (claims: object) => verifyOutsideSubject({ ...goodClaims(now), ...claims }, rules, by)
const invalid = { code: 'invalid_request', reason: 'subject_token_invalid' }

t.test('returns the subject, its scope and lifetime, and the client as the actor', t => {
  t.same(read({}), { sub: 'carol', scope: ['notes:read', 'openid'], expires: now + 120, act: { sub: 'alice' } })
  t.end()
})

t.test('rejects a token of an issuer other than that of the rules', t => {
  for (const iss of [undefined, `${idp}/`, 'https://other.example', [idp]]) t.throws(() => read({ iss }), invalid)
  t.end()
})

t.test('checks each claim to the second and to the letter, and rejects values of another type', t => {
  const x5t = presenter.certificate.thumbprint
  const bound = (thumbprint: string, more = {}) => ({ cnf: { 'x5t#S256': thumbprint, ...more } })
  for (const claims of [
    { iat: now - 3600 },
    { iat: now + 10, exp: now + 11 },
    { nbf: now + 10 },
    { exp: now + 1 },
    { may_act: { sub: 'alice' } },
    bound(x5t),
  ])
    t.match(read(claims), { sub: 'carol' }, JSON.stringify(claims))
  for (const claims of [
    { iat: now - 3601 },
    { iat: now + 11 },
    { nbf: now + 11 },
    { nbf: null },
    { exp: now },
    { iat: now + 9, exp: now + 9 },
    { aud: [outsideAudience, 7] },
    { events: {} },
    { act: { sub: 'alice' } },
    { may_act: null },
    { may_act: 'alice' },
    { may_act: { sub: 'bob' } },
    { may_act: { sub: 'alice', iss: idp } },
    { cnf: undefined },
    bound('A'.repeat(43)),
    bound(x5t, { 'tls-exporter#S256': 'A'.repeat(43) }),
  ])
    t.throws(() => read(claims), invalid, JSON.stringify(claims))
  t.end()
})

t.test('accepts scope as a string or a list of unique scope tokens', t => {
  for (const [scope, expected] of [
    ['', []],
    ['a b', ['a', 'b']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [[], []],
  ] as const)
    t.same(read({ scope }).scope, expected)
  const { scope: _, ...others } = goodClaims(now)
  t.equal(verifyOutsideSubject(others, rules, by).scope, undefined)
  for (const scope of [null, 7, 'a  b', 'a a', ['a', 7], ['a', 'a'], ['a b'], ['a', 'b c'], ['ä'], [undefined]])
    t.throws(() => read({ scope }), invalid, JSON.stringify(scope))
  t.end()
})

t.test('rejects a token whose scope is in a claim other than the configured one', t => {
  const { scope: _, ...others } = goodClaims(now)
  const readBy = (claims: object, scopeClaim: string | readonly string[] = 'scope') =>
    verifyOutsideSubject({ ...others, ...claims }, { ...rules, scopeClaims: [scopeClaim].flat() }, by).scope
  for (const claim of ['scp', 'scopes', 'roles', 'permissions', 'entitlements', 'authorities', 'authorization_details'])
    for (const value of [['a'], 'a', [], '', null, {}]) {
      const name = `${claim}: ${JSON.stringify(value)}`
      t.throws(() => readBy({ [claim]: value }), { ...invalid, detail: 'scope_elsewhere', facts: { claim } }, name)
      t.same(readBy({ [claim]: value, scope: 'b' }), ['b'], `control: ${name} with a scope`)
    }
  for (const claim of ['scp', 'roles', 'permissions', 'https://idp.example/scope'])
    t.same(readBy({ [claim]: ['a', 'b'] }, claim), ['a', 'b'], `control: scope_claim ${claim}`)
  t.throws(() => readBy({ scope: 'a' }, 'scp'), { ...invalid, facts: { claim: 'scope', expected: 'scp' } })
  t.throws(() => readBy({ roles: ['a'] }, 'scp'), { ...invalid, detail: 'scope_elsewhere' })
  const list = ['scp', 'roles']
  t.same(readBy({ roles: ['a'], permissions: ['b'] }, list), ['a'], 'control: the second claim of a profile')
  t.same(readBy({ roles: ['a'], scp: 'b' }, list), ['b'], 'the first claim that the token has')
  t.throws(() => readBy({ roles: ['a'], scp: null }, list), { ...invalid, detail: 'claim' }, 'and no other one instead')
  t.throws(() => readBy({ permissions: ['a'] }, list), { ...invalid, facts: { expected: 'scp roles' } })
  t.equal(readBy({ groups: ['a'], email: 'b' }), undefined, 'control: claims that describe the user')
  t.end()
})

t.test('ignores inherited claims (JW19)', t => {
  for (const name of Object.keys(goodClaims(now)).filter(name => !['scope', 'jti'].includes(name))) {
    const { [name]: value, ...others } = goodClaims(now) as Record<string, unknown>
    t.throws(
      () => verifyOutsideSubject(Object.assign(Object.create({ [name]: value }), others), rules, by),
      invalid,
      name,
    )
  }
  t.end()
})

t.test('narrows the scope and never widens it, whatever is requested', t => {
  const client = new Set(['a', 'b', 'c'])
  for (const [wish, subject, expected] of [
    [undefined, undefined, 'a b c'],
    [undefined, ['b', 'x', 'a'], 'b a'],
    [undefined, [], ''],
    ['a', ['b', 'a'], 'a'],
    ['', ['a'], ''],
    ['c', undefined, 'c'],
  ] as const)
    t.equal(narrowScope(wish, subject, client), expected)
  t.equal(narrowScope(undefined, undefined, new Set()), '', 'a client without a scope')
  for (const [wish, subject] of [
    ['x', undefined],
    ['c', ['a', 'b']],
    ['x', ['x']],
    ['a a', ['a']],
    ['a  b', ['a', 'b']],
    [undefined, ['x']],
    ['', ['x']],
  ] as const)
    t.throws(() => narrowScope(wish, subject, client), { code: 'invalid_scope', reason: 'scope_denied' })
  t.end()
})
