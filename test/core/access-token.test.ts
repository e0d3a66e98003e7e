// The claims of a token, without signature or connection: RFC 9068 §2.2, §4; N-33, N-34, JW22 … JW24, JW28, CL11.
// test/attack/claims/values.test.ts repeats it against a server.
import fc from 'fast-check'
import t from 'tap'
import { checkClaims, isScope, maximumLifetime, parseScope } from '../../src/core/access-token.ts'

const now = 1_800_000_000
const expected = { issuer: 'https://issuer.example', audience: 'https://api.example' }
const good = {
  iss: expected.issuer,
  sub: 'alice',
  aud: expected.audience,
  client_id: 'alice',
  scope: 'notes:read',
  iat: now,
  exp: now + 300,
  jti: 'x',
}
type Claims = Record<string, unknown>
const check = (changes: Claims, time = now) => checkClaims({ ...good, ...changes }, expected, time)
const refusal = (reason: string) => ({ name: 'OAuthError', code: 'invalid_token', reason })
const without = (name: string): Claims => Object.fromEntries(Object.entries(good).filter(([claim]) => claim !== name))

t.test('accepts valid claims to the second, with a tolerance only at the start (N-34)', async t => {
  t.doesNotThrow(() => check({}))
  t.doesNotThrow(() => check({}, now - 10))
  t.doesNotThrow(() => check({}, now + 299))
  t.throws(() => check({}, now - 11), refusal('not_yet_valid'))
  t.throws(() => check({}, now + 300), refusal('expired'))
  t.doesNotThrow(() => check({ nbf: now + 100 }, now + 90))
  t.throws(() => check({ nbf: now + 100 }, now + 89), refusal('not_yet_valid'))
  t.doesNotThrow(() => check({ nbf: now - 100 }))
})

t.test('ignores unknown claims, and leaves cnf to the confirmation', async t => {
  t.doesNotThrow(() => check({ cnf: undefined, act: {}, azp: 'bob', x: 1, constructor: 1, toString: null }))
})

t.test('requires every required claim as an own property (N-33)', async t => {
  const reasons = { iss: 'wrong_issuer', aud: 'wrong_audience' } as Record<string, string>
  for (const name of Object.keys(good)) {
    const refused = refusal(reasons[name] ?? 'claims_malformed')
    t.throws(() => checkClaims(without(name), expected, now), refused, `without ${name}`)
    const inherited = Object.assign(Object.create({ [name]: good[name as 'iss'] }), without(name))
    t.throws(() => checkClaims(inherited, expected, now), refused, `${name} on the prototype`)
    for (const value of [null, '', true, {}, []])
      if (name !== 'scope' || value !== '')
        t.throws(() => check({ [name]: value }), refused, `${name} ${JSON.stringify(value)}`)
  }
  t.doesNotThrow(() => check({ scope: '' }), 'a token may have an empty scope')
})

t.test('compares the issuer exactly (N-34)', async t => {
  for (const iss of [
    `${expected.issuer}/`,
    'https://ISSUER.example',
    ` ${expected.issuer}`,
    [expected.issuer],
    expected.audience,
  ])
    t.throws(() => check({ iss }), refusal('wrong_issuer'), JSON.stringify(iss))
})

t.test('requires the expected audience, alone or in a list of strings (N-34)', async t => {
  const { audience } = expected
  for (const aud of [audience, [audience], ['https://other.example', audience]]) t.doesNotThrow(() => check({ aud }))
  for (const aud of [
    [],
    [[audience]],
    [audience, 1],
    [audience, null],
    [audience, ''],
    ['https://other.example'],
    `${audience}/`,
    'https://api.exampl',
    { 0: audience },
  ])
    t.throws(() => check({ aud }), refusal('wrong_audience'), JSON.stringify(aud))
})

t.test('accepts strings of 1 to 256 characters', async t => {
  for (const name of ['sub', 'client_id', 'jti']) {
    t.doesNotThrow(() => check({ [name]: 'x'.repeat(256) }))
    for (const value of ['x'.repeat(257), 1, ['alice']])
      t.throws(() => check({ [name]: value }), refusal('claims_malformed'))
  }
})

t.test(
  'accepts times in seconds, with fractions, that are not negative, in order, and at most a day apart',
  async t => {
    t.equal(maximumLifetime, 86_400)
    t.doesNotThrow(() => check({ exp: now + maximumLifetime }))
    t.doesNotThrow(() => check({ iat: 0, exp: 300 }, 0))
    const noTime = [
      '1',
      true,
      [now],
      {},
      -1,
      -0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2 ** 53,
      1e300,
      10n,
    ]
    for (const value of noTime)
      for (const name of ['iat', 'exp', 'nbf'])
        t.throws(() => check({ [name]: value }), refusal('claims_malformed'), `${name} ${value}`)
    for (const changes of [
      { iat: now - 0.5 },
      { exp: now + 0.5 },
      { nbf: now + 9.5 },
      { iat: 0.5 + now, exp: 0.75 + now },
      { iat: now + 0.5, exp: now + 0.5 + maximumLifetime },
    ])
      t.doesNotThrow(() => check(changes), `RFC 7519 §2: ${JSON.stringify(changes)}`)
    for (const [changes, reason] of [
      [{ iat: now - 300, exp: now - 0.5 }, 'expired'],
      [{ iat: now + 10.5 }, 'not_yet_valid'],
      [{ nbf: now + 10.5 }, 'not_yet_valid'],
      [{ iat: now + 0.5, exp: now + 0.5 }, 'claims_malformed'],
      [{ exp: now + maximumLifetime + 0.5 }, 'claims_malformed'],
    ] as const)
      t.throws(() => check(changes), refusal(reason), JSON.stringify(changes))
    t.doesNotThrow(() => check({ exp: now + 0.5 }, now + 0.25), 'before its end, by a clock with fractions')
    t.throws(() => check({ exp: now + 0.5 }, now + 0.5), refusal('expired'), 'at its end')
    for (const changes of [
      { exp: now },
      { exp: now - 1 },
      { exp: now + maximumLifetime + 1 },
      { iat: now + 300 },
      { iat: 0 },
    ])
      t.throws(() => check(changes), refusal('claims_malformed'), JSON.stringify(changes))
  },
)

t.test('rejects a nbf that is not a time, including null', async t => {
  t.throws(() => check({ nbf: null }), refusal('claims_malformed'))
})

t.test('accepts as scope unique words of RFC 6749 §3.3, separated by single spaces', async t => {
  for (const scope of ['', 'a', 'a b', 'notes:read', '!#$%&()*+,-./:;<=>?@[]^_`{|}~', 'x'.repeat(1024)])
    t.ok(isScope(scope), scope.slice(0, 40))
  for (const scope of [
    ' ',
    ' a',
    'a ',
    'a  b',
    'a\tb',
    'a\nb',
    'a a',
    'a b a',
    'a"',
    '\\',
    'é',
    '\x7f',
    '\0',
    'x'.repeat(1025),
    'x '.repeat(513),
    undefined,
    null,
    1,
    ['a'],
    {},
  ])
    t.notOk(isScope(scope), JSON.stringify(scope)?.slice(0, 40))
  t.same(parseScope(''), [])
  t.same(parseScope('a b'), ['a', 'b'])
})

t.test('either accepts arbitrary claims or rejects them as invalid_token', async t => {
  const claim = fc.constantFrom(...Object.keys(good), 'nbf')
  const value = fc.oneof(
    fc.jsonValue(),
    fc.integer({ min: now - 400, max: now + 400 }),
    fc.constantFrom(...Object.values(good)),
  )
  fc.assert(
    fc.property(
      fc.dictionary(claim, value, { maxKeys: 3 }),
      fc.integer({ min: now - 400, max: now + 400 }),
      (changes, time) => {
        const claims: Claims = { ...good, ...changes }
        try {
          checkClaims(claims, expected, time)
        } catch (error) {
          return (error as { code?: string }).code === 'invalid_token'
        }
        const { iat, exp } = claims as typeof good
        const begin = Math.max(iat, Number(claims.nbf ?? iat))
        return (
          claims.iss === expected.issuer &&
          exp > time &&
          exp > iat &&
          begin <= time + 10 &&
          typeof claims.sub === 'string'
        )
      },
    ),
    { numRuns: 3000 },
  )
  t.doesNotThrow(() => checkClaims(good, expected, now))
})

t.test('requires a grant to be a non-empty string', async t => {
  t.doesNotThrow(() => check({ grant: 'g' }))
  for (const grant of [1, '', null, undefined, {}, ['g']])
    t.throws(() => check({ grant }), refusal('claims_malformed'), JSON.stringify(grant))
})
