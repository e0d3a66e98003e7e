// Descriptions of tokens: decoding, explanations of claims, the level of a cnf, and the removal of control characters (LK03).
// N-25, RFC 9068 §2.2.
import t from 'tap'
import { levelOf } from '../../src/core/access-token.ts'
import { escapeForDisplay } from '../../src/core/escape-for-display.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { decodeToken, describeDistance, explainClaims } from '../../src/text/describe-token.ts'
import { forgePaseto } from '../helpers/tokens/forge-paseto.ts'
import { encode, thumbprint } from '../helpers/tokens/forge-token.ts'

const now = 1_800_000_000
const x5t = thumbprint('a certificate')
const exporter = thumbprint('a connection')

t.test('decodes a JWT whatever its signature, and rejects other text', async t => {
  const decoded = { header: { alg: 'none' }, claims: { sub: 'ä' } }
  t.same(decodeToken(`${encode({ alg: 'none' })}.${encode({ sub: 'ä' })}.`), decoded)
  const others = [
    '',
    '.',
    '..',
    'a.b.c',
    'e30.e30',
    'e30.e30.e30.e30.e30',
    `e30.${encode([])}.`,
    `${encode('"x"')}.e30.`,
  ]
  for (const text of others) t.equal(decodeToken(text), undefined, text)
})

t.test('decodes a PASETO, with its times as seconds', async t => {
  const jwk = await generateTokenKey('v4.public')
  const claims = { sub: 'alice', iat: now, nbf: now, exp: now + 60 }
  const token = forgePaseto({ jwk, claims })
  t.same(decodeToken(token), { header: { version: 'v4.public', kid: jwk.kid }, claims })
  t.match(explainClaims(claims, now), [
    {},
    {},
    { name: 'nbf', words: 'valid from now' },
    { words: 'expires in 1 minute' },
  ])
  for (const text of [token.replace('public', 'local'), token.slice(0, -1), `${token}.`, 'v4.public.e30'])
    t.equal(decodeToken(text), undefined, text)
})

t.test('explains each claim, in the order of the token', async t => {
  const claims = {
    iss: 'https://issuer.example',
    aud: ['https://a.example', 'https://b.example'],
    iat: now - 10,
    exp: now + 299,
    nbf: now,
    act: { sub: 'alice' },
    own: true,
    cnf: { 'x5t#S256': x5t, 'tls-exporter#S256': exporter, jkt: 'x' },
  }
  const rows = explainClaims(claims, now)
  const names = ['iss', 'aud', 'iat', 'exp', 'nbf', 'act', 'own', 'cnf x5t#S256', 'cnf tls-exporter#S256', 'cnf jkt']
  t.same(
    rows.map(({ name }) => name),
    names,
  )
  t.match(rows, [
    { value: 'https://issuer.example' },
    { value: '["https://a.example","https://b.example"]' },
    { value: '2027-01-15T07:59:50Z', words: 'issued 10 seconds ago' },
    { value: '2027-01-15T08:04:59Z', words: 'expires in 4 minutes' },
    { words: 'valid from now' },
    { value: '{"sub":"alice"}' },
    { value: 'true', words: /unknown to tlsbound/ },
    { value: x5t, words: /certificate/ },
    { value: exporter, words: /connection/ },
    { words: /unknown to tlsbound/ },
  ])
  t.match(explainClaims({ exp: now }, now), [{ words: 'expired now' }], 'a token is expired at exp (RFC 7519 §4.1.4)')
})

t.test('explains values of any type, and does not read malformed ones as times or confirmations', async t => {
  for (const value of [null, '1', 1e300, -1, -0.5, [], {}, true, 8_640_000_000_001])
    t.match(explainClaims({ exp: value }, now), [{ name: 'exp', words: 'not a time' }], JSON.stringify(value))
  for (const cnf of [null, '', 'x', 0, [], {}, true])
    t.same(
      explainClaims({ cnf }, now).map(({ name, value }) => [name, value]),
      [['cnf', typeof cnf === 'string' ? cnf : JSON.stringify(cnf)]],
    )
  t.match(
    explainClaims({ exp: 8_640_000_000_000 }, now),
    [{ value: '+275760-09-13T00:00:00Z' }],
    'the last representable second',
  )
  t.match(explainClaims({ exp: now + 1.5 }, now), [{ value: /\.500Z$/, words: 'expires in 1 second' }], 'RFC 7519 §2')
  for (const name of ['iss', 'sub', 'aud', 'client_id', 'scope', 'jti', 'grant', 'act'])
    t.notMatch(explainClaims({ [name]: 'x' }, now)[0]?.words, /^$|unknown to tlsbound/, name)
  t.match(explainClaims(JSON.parse('{"__proto__":"x","toString":1}'), now), [
    { words: /unknown to tlsbound/ },
    { words: /unknown to tlsbound/ },
  ])
})

t.test('derives the level from the members of cnf', async t => {
  const label = 'EXPORTER-oauth-tls-session-bound'
  const rows: [unknown, string | undefined][] = [
    [{ 'x5t#S256': x5t }, 'certificate'],
    [{ 'x5t#S256': x5t, tls_exp: label }, 'proof'],
    [{ 'x5t#S256': x5t, 'tls-exporter#S256': exporter }, 'connection'],
    [{ 'x5t#S256': x5t, 'tls-exporter#S256': exporter, 'tls-unique#S256': exporter }, 'connection'],
    [{ 'x5t#S256': x5t, tls_exp: 'other' }, undefined],
    [{ 'x5t#S256': x5t, 'tls-exporter#S256': 'short' }, undefined],
    [{ 'x5t#S256': x5t, jkt: x5t }, undefined],
    [{ 'tls-exporter#S256': exporter }, undefined],
    ...[undefined, null, '', 1, [], {}].map((cnf): [unknown, undefined] => [cnf, undefined]),
  ]
  for (const [cnf, level] of rows) t.equal(levelOf(cnf), level, JSON.stringify(cnf))
})

t.test('describes times in whole units, and rounds to now', async t => {
  const rows: [number, string][] = [
    [0, 'now'],
    [0.5, 'now'],
    [-0.5, 'now'],
    [1.5, 'in 1 second'],
    [1, 'in 1 second'],
    [59, 'in 59 seconds'],
    [-60, '1 minute ago'],
    [3599, 'in 59 minutes'],
    [-7200, '2 hours ago'],
    [200_000, 'in 2 days'],
  ]
  for (const [distance, words] of rows) t.equal(describeDistance(now + distance, now), words)
})

t.test('escapes line breaks, terminal controls and text direction marks in the content of a token', async t => {
  const hostile = 'a\nVerdict\r\t\u001b[2J\u009b\u007f\u0000\u2028\u202e\u{e0041}\ud800\uffff'
  const shown = escapeForDisplay(hostile)
  t.equal(
    shown,
    'a\\u{a}Verdict\\u{d}\\u{9}\\u{1b}[2J\\u{9b}\\u{7f}\\u{0}\\u{2028}\\u{202e}\\u{e0041}\\u{d800}\\u{ffff}',
  )
  t.equal(escapeForDisplay('alice – Zürich 東京'), 'alice – Zürich 東京', 'control')
  for (const { name, value } of explainClaims({ [hostile]: hostile, sub: [hostile], cnf: { [hostile]: hostile } }, now))
    t.notMatch(name + value, /[\p{Cc}\p{Cf}\u2028]/u)
})
