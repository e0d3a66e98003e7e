// Every member of a proof with valid and invalid values, and other forms of a JWS. Signatures and keys:
// proof-algorithm.test.ts; fixed examples: test/vectors/. N-56, N-57, N-59, N-63; binding-proof draft §2.3, §3.3.
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { buildBindingProof, hashToken, isPerRequest, isReusable } from '../../src/core/binding-proof.ts'
import { withMember } from '../helpers/tokens/forge-proof.ts'
import { signatureOf } from '../helpers/tokens/forge-token.ts'
import { makePresenter, now, request } from '../helpers/tokens/proof-presenter.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { forge, verdict, header, payload, presenter } = makePresenter('ES256', pair)
const invalid = 'proof_invalid'

t.beforeEach(t => void t.equal(verdict(forge()), 'accepted', 'control'))

const quote = (value: unknown) => JSON.stringify(value)?.slice(0, 60) ?? 'missing'

/** Verifies a proof with each value as a member of an otherwise valid payload. */
function tryClaim(t: Test, name: string, values: readonly unknown[], wanted = invalid, target = request.target) {
  for (const value of values) {
    const proof = forge({ payload: { ...payload, [name]: value } })
    t.equal(verdict(proof, now, { ...request, target }), wanted, `${name} ${quote(value)} for ${target.slice(0, 40)}`)
  }
}

/** Returns invalid values for a string: other types, and other spellings. */
function spoil(right: string): unknown[] {
  const types: unknown[] = [undefined, null, 0, 1, true, [], {}, [right], { toString: right }, '', ' ']
  const cut = [right.slice(0, -1), right.slice(1), right + right, `${right}A`, `${right}\0`]
  const spelled = [`${right} `, ` ${right}`, `${right}\n`, `${right}=`, right.toUpperCase(), right.toLowerCase()]
  return [...types, ...cut, ...spelled].filter(value => value !== right)
}

t.test('requires each member of the header with its exact value (N-57)', async t => {
  for (const [name, right] of Object.entries(header)) {
    for (const value of spoil(right))
      t.equal(verdict(forge({ header: { ...header, [name]: value } })), invalid, `${name} ${quote(value)}`)
    const twice = withMember(header, `"${name}":"x"`, 'last')
    t.equal(verdict(forge({ header: twice })), invalid, `${name} twice, the last value is wrong`)
    const inherited = withMember({ ...header, [name]: undefined }, `"__proto__":{"${name}":"${right}"}`, 'last')
    t.equal(verdict(forge({ header: inherited })), invalid, `${name} on the prototype`)
  }
  for (const typ of ['JWT', 'at+jwt', 'dpop+jwt', 'application/tls-binding-proof+jwt', 'tls-binding-proof'])
    t.equal(verdict(forge({ header: { ...header, typ } })), invalid, typ)
})

t.test('rejects every other member of the header (N-63)', async t => {
  const keys = {
    jwk: createPublicKey(pair.privateKey).export({ format: 'jwk' }),
    x5c: [presenter.certificate.x509.raw],
  }
  const names = ['b64', 'kid', 'x5t', 'x5u', 'jku', 'cty', 'zip', 'enc', 'TYP', 'x5t#s256', '', 'toString', '__proto__']
  const critical = [[], ['b64'], ['exp', 'exp'], ['alg'], 'exp', null]
  const others = [
    ...Object.entries(keys),
    ...critical.map(crit => ['crit', crit] as const),
    ...names.map(name => [name, 1] as const),
  ]
  for (const [name, value] of others) {
    const text = withMember(header, `${JSON.stringify(name)}:${JSON.stringify(value)}`, 'first')
    t.equal(verdict(forge({ header: text })), invalid, `${name} ${quote(value)}`)
  }
})

t.test('requires ath and ekm in their only spelling (N-57)', async t => {
  for (const name of ['ath', 'ekm'] as const) {
    tryClaim(t, name, spoil(payload[name]))
    const twice = withMember(payload, `"${name}":"${'A'.repeat(43)}"`, 'last')
    t.equal(verdict(forge({ payload: twice })), invalid, `${name} twice, the last value is wrong`)
    const octets = Buffer.from(payload[name], 'base64url')
    tryClaim(t, name, [octets.toString('hex'), octets.toString('base64'), [...octets], octets])
  }
  tryClaim(t, 'ath', [hashToken(`Bearer ${request.token}`), hashToken(''), hashToken(`${request.token}=`)])
})

t.test('rejects multi-octet characters in ath and ekm without an internal error (I2)', async t => {
  for (const name of ['ath', 'ekm'] as const)
    for (const letter of ['\u00e9', '\u20ac', '\ud800', '\ufffd']) tryClaim(t, name, [letter + payload[name].slice(1)])
})

t.test('accepts an iat in seconds within the window, including both ends and fractions (N-57)', async t => {
  tryClaim(t, 'iat', [now - 60, now - 1, now, now + 5, now + 0.5, now - 59.999, now + 4.999], 'accepted')
  tryClaim(t, 'iat', [now - 61, now + 6, now - 60.5, now + 5.5, 0, -now, now / 1000, now * 1000])
  tryClaim(t, 'iat', [Number.MAX_SAFE_INTEGER, 2 ** 53, -0.5])
  tryClaim(t, 'iat', [undefined, null, `${now}`, true, [now], {}, '', new Date(now * 1000).toISOString()])
  for (const literal of ['1e400', '-1e400', '18e8.0', '0x6b49d200', '1_800_000_000', 'NaN'])
    t.equal(verdict(forge({ payload: JSON.stringify(payload).replace(`${now}`, literal) })), invalid, literal)
  t.equal(verdict(forge({ payload: withMember(payload, `"iat":${now - 61}`, 'last') })), invalid, 'twice')
  const proof = forge()
  for (const later of [-5, 60]) t.equal(verdict(proof, now + later), 'accepted', `verified after ${later} s`)
  for (const later of [-6, 61]) t.equal(verdict(proof, now + later), invalid, `verified after ${later} s`)
})

t.test('accepts as jti any string of 1 to 256 characters (N-57)', async t => {
  tryClaim(t, 'jti', ['a', 'j'.repeat(256), '\u00e9\n "', '__proto__'], 'accepted')
  tryClaim(t, 'jti', ['', 'j'.repeat(257), null, 0, 1, true, [], ['a'], {}])
})

t.test('requires htm to equal the method exactly (N-57)', async t => {
  const methods = ['GET', 'POST', 'DELETE', 'PROPFIND']
  for (const method of methods)
    for (const htm of methods) {
      const wanted = htm === method ? 'accepted' : invalid
      t.equal(verdict(forge({ payload: { ...payload, htm } }), now, { ...request, method }), wanted, `${htm} ${method}`)
    }
  tryClaim(t, 'htm', ['get', 'Get', ' GET', 'GET ', 'HEAD', '*', '', 'G'.repeat(257), null, 0, ['GET'], { GET: 1 }])
})

t.test('requires htu to be the path, alone or in an https URL, as the request spells it (N-57)', async t => {
  const long = `/${'a'.repeat(1500)}`
  const origins = ['', 'https://api.example', 'HTTPS://API.example:8443', 'https://[::1]:8443']
  const spelled = origins.map(origin => `${origin}/notes`)
  for (const target of ['/notes', '/notes?limit=10', '/notes?', '/notes?a=/other?b', 'https://api.example/notes?a'])
    tryClaim(t, 'htu', spelled, 'accepted', target)
  for (const path of ['/', '/caf%C3%A9', '//notes', '/a/../b', long]) tryClaim(t, 'htu', [path], 'accepted', path)

  tryClaim(t, 'htu', ['/note', '/notes/', '/notes/1', '/Notes', '/%6eotes', '/notes?limit=10', '/notes?', '/notes#a'])
  tryClaim(t, 'htu', ['http://api.example/notes', '//api.example/notes', 'wss://api.example/notes', 'https:/notes'])
  tryClaim(t, 'htu', [
    'https://api.example/notes?limit=10',
    'https://api.example/notes#a',
    'https://api.example?/notes',
  ])
  tryClaim(t, 'htu', ['', '*', 'notes', null, 0, true, [], ['/notes'], {}])
  tryClaim(t, 'htu', ['/caf%c3%a9', '/caf\u00e9'], invalid, '/caf%C3%A9')
  tryClaim(t, 'htu', ['https://api.example'], invalid, '/')
  for (const target of ['/notes/../other', '//notes', '/other?/notes', ''])
    tryClaim(t, 'htu', ['/notes'], invalid, target)
})

t.test('rejects an unknown claim, because it could be a restriction', async t => {
  for (const name of ['exp', 'nbf', 'iss', 'aud', 'sub', 'nonce', 'cnf', 'ATH', 'Ekm', '', 'toString', '__proto__'])
    for (const value of ['null', '0', '"x"', '{}'])
      t.equal(verdict(forge({ payload: withMember(payload, `"${name}":${value}`, 'first') })), invalid, name + value)
})

t.test('rejects a header or payload that is not a JSON object', async t => {
  const texts = [
    '',
    'null',
    '1',
    '"x"',
    '[]',
    '{',
    '{}',
    '{}{}',
    '\0',
    '\ufeff{}',
    '['.repeat(1000),
    '{"a":'.repeat(300),
  ]
  for (const [part, good] of Object.entries({ header, payload })) {
    const text = JSON.stringify(good)
    const around = [`[${text}]`, `\ufeff${text}`, `${text}\0`, `${text},`, text + text, JSON.stringify(text)]
    for (const wrong of [...texts, ...around]) t.equal(verdict(forge({ [part]: wrong })), invalid, part + quote(wrong))
    const notUtf8 = Buffer.from(text.replace('"', '"\u00ff'), 'latin1')
    t.equal(verdict(forge({ [part]: notUtf8 })), invalid, `${part} with an octet that is invalid in UTF-8`)
  }
})

t.test('requires three segments, each in the canonical encoding', async t => {
  const proof = forge()
  const [head, body, signature] = proof.split('.') as [string, string, string]
  const stray = (text: string) => text.slice(0, -1) + { A: 'B', Q: 'R', g: 'h', w: 'x' }[text.at(-1) as string]
  for (const text of [
    ...['', '..', head, `${head}.${body}`, `${proof}.AA`, `${proof}.AA.AA`, `.${proof}`, `${proof}.`, proof + proof],
    ...[`.${body}.${signature}`, `${head}..${signature}`, `${head}.${body}.`, `${head}=.${body}.${signature}`],
    ...[`${proof}=`, `${proof}==`, `${head}.${body}.${stray(signature)}`, ` ${proof}`, `${proof}\n`, `${proof}\0`],
    ...[`${proof}, ${proof}`, `Bearer ${proof}`, JSON.stringify(proof), proof.toLowerCase()],
    ...[`${head}.${body}.${signatureOf(proof).toString('base64')}`, `${proof.slice(0, -1)}\u0441`],
  ])
    t.equal(verdict(text), invalid, `${quote(text.slice(0, 20))}…${quote(text.slice(-10))}`)
})

t.test('rejects a proof of more than 4096 characters (N-63)', async t => {
  const text = JSON.stringify(payload)
  const padded = Array.from({ length: 1000 }, (_, spaces) => forge({ payload: text + ' '.repeat(2500 + spaces) }))
  const longest = padded.findLast(({ length }) => length <= 4096) as string
  const longer = padded.find(({ length }) => length > 4096) as string
  t.match([longest.length, longer.length], [/^409[56]$/, /^409[78]$/])
  t.equal(verdict(longest), 'accepted')
  t.equal(verdict(longer), invalid)
  for (const letter of ['a', '.']) t.equal(verdict(letter.repeat(1_000_000)), invalid)
})

t.test('rejects every proof on a connection that exports nothing (N-63)', async t => {
  const nowhere = makePresenter('ES256', pair, null)
  for (const ekm of [undefined, 'undefined', '', 'none', payload.ekm])
    t.equal(nowhere.verdict(nowhere.forge({ payload: { ...payload, ekm } })), invalid, `${ekm}`)
})

t.test('distinguishes proofs for one request, for all, and for some', async t => {
  const { jti, htm, htu } = { jti: 'a', htm: 'GET', htu: '/' }
  for (const some of [{ jti }, { htm }, { htu }, { htm, htu }, { jti, htm }, { jti, htu }])
    t.notOk(isPerRequest({ ...payload, ...some }) || isReusable({ ...payload, ...some }), JSON.stringify(some))
  const once = { ...payload, jti, htm, htu }
  t.same([isPerRequest(once), isReusable(once)], [true, false])
  t.same([isPerRequest(payload), isReusable(payload)], [false, true])
})

t.test('builds the proof of the draft, with no other members (§2.3, N-57)', async t => {
  const proof = buildBindingProof({ ...payload, jti: 'a' }, pair.privateKey, presenter.certificate.thumbprint)
  const [head, body] = proof.split('.').map(segment => Buffer.from(segment, 'base64url').toString())
  t.same(JSON.parse(head as string), header)
  t.same(JSON.parse(body as string), { ...payload, jti: 'a' })
  t.equal(verdict(proof), 'accepted')
})
