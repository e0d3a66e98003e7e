// Tokens that are invalid although the issuer's own key has signed them: JW19, JW22 … JW24, JW28, N-33, N-34. Each row
// changes one claim of a valid token. Irrelevant changes get 200, all others 401, none 500.
import fc from 'fast-check'
import t from 'tap'
import type { Reason } from '../../../src/core/errors.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { type Row, refuseEach } from '../../helpers/server/refusals.ts'
import { claimsFor, forgeToken, issuer } from '../../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const server = await startTestServer({ signingKeys: [jwk] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const claims = claimsFor(alice, server)
const now = server.clock
const forge = (changes: object) => forgeToken({ jwk, claims: { ...claims, ...changes } })
/** A number that JSON.stringify does not produce. */
const raw = (name: string, json: string) => JSON.stringify({ ...claims, [name]: '?' }).replace('"?"', json)
const status = async (token: string) => (await alice.get('/api/whoami', token)).status

type Table = readonly (readonly [name: string, values: readonly unknown[], reason: Reason])[]
const rowsOf = (table: Table): Row[] =>
  table.flatMap(([name, values, reason]) =>
    values.map((value): Row => [`${name} ${JSON.stringify(value)?.slice(0, 80)}`, forge({ [name]: value }), reason]),
  )
const noText = [undefined, null, '', 0, true, [], ['alice'], {}, 'x'.repeat(257)]

t.test('compares the issuer exactly (JW24, N-34)', async t => {
  t.equal(await status(forge({})), 200)
  const near = [
    `${issuer}/`,
    issuer.toUpperCase(),
    'https://LOCALHOST:8443',
    'http://localhost:8443',
    'https://localhost',
    `${issuer} `,
  ]
  const far = [
    `${issuer}\0`,
    `${issuer}.evil.example`,
    'https://1ocalhost:8443',
    'https://lоcalhost:8443',
    'https://localhost:8443#',
    'https://evil.example',
  ]
  const odd: unknown[] = [
    undefined,
    null,
    '',
    0,
    true,
    [],
    [issuer],
    [issuer, issuer],
    { iss: issuer },
    { toString: issuer },
  ]
  await refuseEach(t, server, alice, rowsOf([['iss', [...near, ...far, ...odd], 'wrong_issuer']]))
})

t.test('accepts an audience that is or contains this server (JW23, N-34, N-44; RFC 7519 §4.1.3)', async t => {
  t.equal(await status(forge({ aud: [issuer] })), 200, 'ASVS 10.3.1')
  t.equal(await status(forge({ aud: ['https://other.example', issuer] })), 200)
  const near = [
    `${issuer}/`,
    'https://localhost:844',
    'https://localhost:84430',
    `${issuer}/api`,
    'https://LOCALHOST:8443',
    'https://lоcalhost:8443',
  ]
  const odd = [
    undefined,
    null,
    '',
    0,
    true,
    [],
    [[issuer]],
    [[[issuer]]],
    [issuer, 1],
    [issuer, null],
    [issuer, [issuer]],
    [issuer, ''],
    { 0: issuer, length: 1 },
    { aud: issuer },
    ['https://evil.example'],
    `${issuer} ${issuer}`,
    `${issuer},${issuer}`,
  ]
  await refuseEach(t, server, alice, rowsOf([['aud', [...near, ...odd], 'wrong_audience']]))
})

t.test('requires sub, client_id and jti as non-empty strings of bounded length (N-33)', async t => {
  t.equal(await status(forge({ sub: 'x'.repeat(256), jti: '\0' })), 200)
  await refuseEach(
    t,
    server,
    alice,
    rowsOf(['sub', 'client_id', 'jti'].map(name => [name, noText, 'claims_malformed'])),
  )
})

t.test(
  'requires exp, iat and nbf in seconds, with or without a fraction, in order and near the current time (JW22, JW28, N-34, N-43)',
  async t => {
    for (const good of [{ exp: now + 1 }, { iat: now + 10 }, { nbf: now + 10 }, { nbf: 0 }, { exp: now + 86_400 }])
      t.equal(await status(forge(good)), 200, JSON.stringify(good))
    for (const good of [{ iat: now - 0.5 }, { nbf: now + 9.5 }, { exp: now + 0.5 }, { iat: now + 0.1, exp: now + 0.2 }])
      t.equal(await status(forge(good)), 200, `RFC 7519 §2: ${JSON.stringify(good)}`)
    const noTime = ['1', `${now}`, true, [now], { exp: now }, '', -1, -1e20, -0.5, 2 ** 53, 1e300]
    const huge = ['1e400', '-1e400', '9007199254740993', '-0.0001']
    await refuseEach(t, server, alice, [
      ...rowsOf([
        ['exp', [undefined, null, ...noTime, 0, now - 1, now, now + 86_401, now + 400 * 86_400], 'claims_malformed'],
        ['exp', [now - 0.5, now + 86_400.5], 'claims_malformed'],
        ['iat', [undefined, null, ...noTime, 0, 0.5, now + 300, now + 365 * 86_400], 'claims_malformed'],
        ['iat', [now + 10.5, now + 11, now + 299], 'not_yet_valid'],
        ['nbf', [null, ...noTime], 'claims_malformed'],
        ['nbf', [now + 10.5, now + 11, now + 365 * 86_400], 'not_yet_valid'],
      ]),
      ['valid all of next year', forge({ iat: now + 31_536_000, exp: now + 31_536_300 }), 'not_yet_valid'],
      ['expired this second', forge({ iat: now - 300, exp: now }), 'expired'],
      ['expired by a fraction', forge({ iat: now - 300, exp: now - 0.1 }), 'expired'],
      ['expired a year ago', forge({ iat: now - 31_536_000, exp: now - 31_535_700 }), 'expired'],
      ...['exp', 'iat', 'nbf'].flatMap(name =>
        huge.map((json): Row => [`${name} ${json}`, forgeToken({ jwk, claims: raw(name, json) }), 'claims_malformed']),
      ),
    ])
  },
)

t.test('accepts a token once its nbf has passed, although it was refused before (JW28)', async t => {
  const token = forge({ nbf: now + 100 })
  await refuseEach(t, server, alice, [['too early', token, 'not_yet_valid']])
  server.clock = now + 100
  t.equal(await status(token), 200)
  server.clock = now + 300
  await refuseEach(t, server, alice, [['too late, although it was remembered as valid', token, 'expired']])
  server.clock = now
})

t.test('ignores names of object prototypes in claims (JW19)', async t => {
  const { sub, cnf, exp, ...others } = claims
  const inherit = (kept: object, inherited: object) =>
    forgeToken({ jwk, claims: JSON.stringify({ ...others, ...kept, inherited }).replace('"inherited"', '"__proto__"') })
  const own = JSON.stringify(claims)
  const more = `${own.slice(0, -1)},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}`
  t.equal(await status(forgeToken({ jwk, claims: more })), 200, 'such names have no meaning as claims')
  t.equal(({} as { polluted?: number }).polluted, undefined)
  await refuseEach(t, server, alice, [
    ['sub', inherit({ cnf, exp }, { sub }), 'claims_malformed'],
    ['exp', inherit({ sub, cnf }, { exp }), 'claims_malformed'],
    ['cnf', inherit({ sub, exp }, { cnf }), 'confirmation_malformed'],
    ['everything', forgeToken({ jwk, claims: `{"__proto__":${own}}` }), 'wrong_issuer'],
    [
      'exp twice, the last counts',
      forgeToken({ jwk, claims: `${own.slice(0, -1)},"exp":${now - 1}}` }),
      'claims_malformed',
    ],
  ])
})

t.test('rejects a well-signed payload that is not a JSON object', async t => {
  const texts = [
    '',
    'null',
    '1',
    'true',
    '"x"',
    '[]',
    `[${JSON.stringify(claims)}]`,
    '{',
    '{"exp":0x7fffffff}',
    '{}{}',
    '\0',
  ]
  await refuseEach(t, server, alice, [
    ...texts.map(
      (text): Row => [`the payload ${JSON.stringify(text).slice(0, 40)}`, forgeToken({ jwk, claims: text })],
    ),
    ['UTF-16', forgeToken({ jwk, claims: Buffer.from(JSON.stringify(claims), 'utf16le') })],
    ['a byte order mark', forgeToken({ jwk, claims: `\ufeff${JSON.stringify(claims)}` })],
    ['an empty object', forgeToken({ jwk, claims: {} }), 'wrong_issuer'],
    ['deep nesting', forgeToken({ jwk, claims: `{"iss":${'['.repeat(1200)}${']'.repeat(1200)}}` }), 'wrong_issuer'],
    ['deep nesting in jti', forge({ jti: JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`) }), 'claims_malformed'],
    [
      'deep nesting in cnf',
      forge({ cnf: JSON.parse(`${'[{"a":'.repeat(200)}1${'}]'.repeat(200)}`) }),
      'confirmation_malformed',
    ],
  ])
})

t.test('rejects arbitrary well-signed claims without an internal error (I2)', async t => {
  const names = Object.keys(claims) as (keyof typeof claims)[]
  const good = async (changed: object) => (await status(forge(changed))) === 200
  t.ok(await good({}))
  const property = fc.asyncProperty(
    fc.uniqueArray(fc.tuple(fc.constantFrom(...names, 'nbf'), fc.jsonValue({ maxDepth: 3 })), {
      minLength: 1,
      maxLength: 2,
      selector: ([name]) => name,
    }),
    async changes => {
      const token = forge(Object.fromEntries(changes))
      if (token.length > 4096) return
      const answer = await alice.get('/api/whoami', token)
      if (answer.status === 401 && answer.body.error === 'invalid_token') return
      // Values that random JSON can contain and that are valid: free texts, any scope, a time long ago.
      const free = changes.every(([name, value]) =>
        name === 'nbf'
          ? typeof value === 'number' && value >= 0 && value <= now + 10
          : ['sub', 'client_id', 'jti', 'scope'].includes(name) && typeof value === 'string',
      )
      if (!free || answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
    },
  )
  await fc.assert(property, { numRuns: 1000 })
  t.equal(server.log.filter(line => line.includes('unhandled error')).length, 0)
})
