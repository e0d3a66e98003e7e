// The form of a PASETO, and its claims: one spelling, one version, a footer that names a key, and JSON that has one meaning.
import t from 'tap'
import { OAuthError } from '../../src/core/errors.ts'
import { buildFooter, buildImplicitAssertion, isPaseto, joinPaseto, parsePaseto } from '../../src/core/paseto.ts'
import { buildPasetoPayload, decodePaseto, parsePasetoPayload } from '../../src/core/paseto-claims.ts'
import { encode } from '../helpers/tokens/forge-token.ts'

const kid = `k4.pid.${'a'.repeat(43)}A`
const footer = buildFooter(kid)
const message = Buffer.from('{"sub":"alice"}')
const signature = Buffer.alloc(64, 7)
const token = joinPaseto(message, signature, footer)
const [payload, end] = token.split('.').slice(2) as [string, string]

function refusalOf(text: string, maximumLength?: number): string {
  try {
    parsePaseto(text, maximumLength)
  } catch (error) {
    if (error instanceof OAuthError) return error.detail
    throw error
  }
  return 'accepted'
}

t.test('splits a token of its own form (N-73, N-74)', t => {
  t.same(parsePaseto(token), { kid, message, signature, footer })
  t.equal(end.length, 82)
  t.equal(refusalOf(token, token.length), 'accepted')
  t.equal(
    buildImplicitAssertion('https://a.example').toString(),
    '{"iss":"https://a.example","purpose":"access token"}',
  )
  t.end()
})

t.test('recognises PASETO of every version, and no other token', t => {
  for (const text of [token, 'v4.local.a', 'v2.public.a.b', 'v1.local.', 'v3.public.x', 'v99.public.'])
    t.ok(isPaseto(text), text)
  for (const text of [
    'eyJ0.eyJ0.x',
    'tlsbound_at_x',
    'V4.public.a',
    ' v4.public.a',
    'v4',
    'v4.public',
    'v.a.b',
    'x.v4.a',
  ])
    t.notOk(isPaseto(text), text)
  t.end()
})

t.test('rejects every other form, with its detail', t => {
  for (const [text, detail] of [
    [`v4.local.${payload}.${end}`, 'paseto_version'],
    [`v3.public.${payload}.${end}`, 'paseto_version'],
    [`v2.public.${payload}.${end}`, 'paseto_version'],
    [`v4.public.${payload}.${end}.`, 'not_paseto'],
    [`v4.public.${payload}=.${end}`, 'not_paseto'],
    [`v4.public.${payload.replace(/.$/, '+')}.${end}`, 'not_paseto'],
    [`v4.public.${encode(signature)}.${end}`, 'not_paseto'],
    [`v4.public..${end}`, 'not_paseto'],
    ['v4.public.', 'not_paseto'],
    [`v4.public.${payload}`, 'footer'],
    [`v4.public.${payload}.`, 'footer'],
    [`v4.public.${payload}.${end}=`, 'footer'],
    [`v4.public.${payload}.${encode('x'.repeat(200))}`, 'footer'],
    [`v4.public.${payload}.${'A'.repeat(65_536)}`, 'too_long'],
    ['v4.public.'.padEnd(4097, 'a'), 'too_long'],
  ] as const)
    t.equal(refusalOf(text), detail, text.slice(0, 60))
  t.equal(refusalOf(`v4.public.${payload}.${'A'.repeat(65_536)}`, 100_000), 'footer', 'a footer of 64 KiB')
  t.equal(refusalOf(token, token.length - 1), 'too_long')
  t.end()
})

t.test('accepts one spelling of the footer only', t => {
  for (const text of [
    `{"kid": "${kid}"}`,
    `{"kid":"${kid}","kid":"${kid}"}`,
    `{"kid":"${kid}","wpk":"k4.seal.x"}`,
    `{"kid":"${kid.slice(0, -1)}"}`,
    `{"kid":"${kid}a"}`,
    `{"kid":"${kid.replace('pid', 'lid')}"}`,
    `{"kid":"${kid.replace('k4', 'k3')}"}`,
    `{"kid":"k4.public.${'a'.repeat(43)}"}`,
    `{"k\\u0069d":"${kid}"}`,
    `[{"kid":"${kid}"}]`,
    `{"kid":{"kid":"${kid}"}}`,
    `{"kid":["${kid}"]}`,
    `{"kid":"${kid}"}\n`,
    `\ufeff{"kid":"${kid}"}`,
    kid,
    'null',
  ])
    t.equal(refusalOf(joinPaseto(message, signature, Buffer.from(text))), 'footer', text)
  t.equal(refusalOf(joinPaseto(message, signature, Buffer.from([0xff, 0xfe]))), 'footer', 'not UTF-8')
  t.equal(refusalOf(joinPaseto(message, signature, footer)), 'accepted', 'control')
  t.end()
})

t.test('writes times as date-times and reads them as seconds (N-75)', t => {
  const claims = { iss: 'x', iat: 1_800_000_000, exp: 1_800_000_300, cnf: { a: 'b' } }
  const text = buildPasetoPayload(claims).toString()
  t.same(JSON.parse(text), {
    iss: 'x',
    cnf: { a: 'b' },
    iat: '2027-01-15T08:00:00Z',
    nbf: '2027-01-15T08:00:00Z',
    exp: '2027-01-15T08:05:00Z',
  })
  t.same(parsePasetoPayload(Buffer.from(text)), { ...claims, nbf: claims.iat })
  t.end()
})

t.test('leaves a time of any other form as a text, which is no time', t => {
  const read = (exp: unknown) => parsePasetoPayload(Buffer.from(JSON.stringify({ exp })))?.exp
  for (const [text, seconds] of [
    ['2027-01-15T08:00:00Z', 1_800_000_000],
    ['2027-01-15T09:00:00+01:00', 1_800_000_000],
    ['2027-01-15T08:00:00.5Z', 1_800_000_000.5],
    ['2027-01-15T08:00:00-00:00', 1_800_000_000],
    ['2027-01-14T23:00:00-09:00', 1_800_000_000],
    ['2028-02-29T00:00:00Z', 1_835_395_200],
  ] as const)
    t.equal(read(text), seconds, text)
  for (const text of [
    '2027-01-15t08:00:00Z',
    '2027-01-15T08:00:00z',
    '2027-01-15 08:00:00Z',
    '2027-01-15T08:00:00',
    '2027-01-15',
    '2027-13-15T08:00:00Z',
    '2027-01-15T25:00:00Z',
    '2027-01-15T24:00:00Z',
    '2027-01-15T24:00:00.0+01:00',
    '2027-01-15T08:60:00Z',
    '2027-01-15T08:00:60Z',
    '2016-12-31T23:59:60Z',
    '2027-02-29T08:00:00Z',
    '2027-02-30T08:00:00Z',
    '2027-04-31T08:00:00Z',
    '2027-01-00T08:00:00Z',
    '2027-01-15T08:00:00+24:00',
    '2027-01-15T08:00:00+01:60',
    '10000-01-15T08:00:00Z',
    '+002027-01-15T08:00:00Z',
    '1800000000',
    ' 2027-01-15T08:00:00Z',
    'Fri, 15 Jan 2027 08:00:00 GMT',
    '',
  ])
    t.equal(read(text), text)
  t.equal(read(1_800_000_000), '1800000000', 'a number is not a time of a PASETO')
  for (const value of [null, true, ['2027-01-15T08:00:00Z'], {}]) t.same(read(value), value)
  t.end()
})

t.test('reads claims with one meaning only', t => {
  const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`
  for (const [name, octets] of Object.entries({
    'a name twice': '{"sub":"alice","sub":"bob"}',
    'a name twice, once escaped': '{"sub":"alice","s\\u0075b":"bob"}',
    'a name twice in cnf': '{"cnf":{"x5t#S256":"a","x5t#S256":"b"}}',
    'a name twice in a list': '{"a":[{"b":1,"b":1}]}',
    __proto__: '{"__proto__":{},"__proto__":{}}',
    'more than 100 levels': deep,
    'a list': '[{"sub":"alice"}]',
    null: 'null',
    'a text': '"alice"',
    'JSON that ends early': '{"sub":',
    'a byte order mark': '\ufeff{"sub":"alice"}',
    nothing: '',
  }))
    t.equal(parsePasetoPayload(Buffer.from(octets)), undefined, name)
  for (const octets of [[0xff], [0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d], [0xed, 0xa0, 0x80]])
    t.equal(parsePasetoPayload(Buffer.from(octets)), undefined, `not UTF-8: ${octets}`)
  for (const text of [
    '{"sub":"alice"}',
    '{"sub":"\\"sub\\":","a":{"sub":"x"},"b":[{"sub":1},{"sub":2}]}',
    '{"a\\"":1,"a":2}',
    '{ "sub" : "a:b" }',
    '{"__proto__":{"a":1}}',
    '{}',
  ])
    t.same(Object.entries(parsePasetoPayload(Buffer.from(text)) ?? {}), Object.entries(JSON.parse(text)), text)
  t.end()
})

t.test('decodes a token without verifying it, and no other text', t => {
  t.same(decodePaseto(token), { kid, claims: { sub: 'alice' } })
  for (const text of ['eyJ0.eyJ0.x', 'v4.local.x', `${token}x`, `v4.public.${payload}`, ''])
    t.equal(decodePaseto(text), undefined, text)
  t.end()
})
