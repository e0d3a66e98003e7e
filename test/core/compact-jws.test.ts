// The outer form of a token, without any key: three segments, one spelling, three header members (JW01 … JW16 in part).
import { createPrivateKey, createPublicKey, verify } from 'node:crypto'
import fc from 'fast-check'
import * as jose from 'jose'
import t from 'tap'
import { hasLowS, parseTokenHeader, withLowS } from '../../src/core/compact-jws.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import {
  encode,
  forgeToken,
  headerOf,
  numberBytes,
  p256Order,
  signatureOf,
  signers,
  withOtherS,
} from '../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const header = headerOf(jwk)
const token = forgeToken({ jwk, claims: { sub: 'alice' } })
const [head, body, signature] = token.split('.') as [string, string, string]
const withHeader = (value: unknown) => `${encode(value)}.${body}.${signature}`
const refusal = (reason: string) => ({ name: 'OAuthError', code: 'invalid_token', reason })

t.test('parses the header of a well-formed token, whatever its algorithm and key identifier', async t => {
  t.same(parseTokenHeader(token), { alg: 'ES256', kid: jwk.kid })
  t.same(parseTokenHeader(withHeader({ ...header, typ: 'application/at+jwt' })), { alg: 'ES256', kid: jwk.kid })
  t.same(
    parseTokenHeader(withHeader({ ...header, alg: 'none', kid: '' })),
    { alg: 'none', kid: '' },
    'the key decides about them later',
  )
  const jwt = await new jose.SignJWT({})
    .setProtectedHeader({ ...header })
    .sign(createPrivateKey({ key: jwk, format: 'jwk' }))
  t.same(parseTokenHeader(jwt), { alg: 'ES256', kid: jwk.kid }, 'as another library writes it')
})

t.test('rejects other spellings of the same octets', async t => {
  for (const wrong of [
    `${token}=`,
    `${token}\n`,
    ` ${token}`,
    `\ufeff${token}`,
    `${token}.`,
    `.${token}`,
    `${token}.${signature}`,
    `${head}.${body}`,
    head,
    '',
    '..',
    '...',
    `${head}..${signature}`,
    `.${body}.${signature}`,
    `${head}.${body}.`,
    `${head}\n.${body}.${signature}`,
    `${head}.${body}.${signature.slice(0, -1)}`,
    `${head}.${body}.+${signature.slice(1)}`,
    `${head}.${body}./${signature.slice(1)}`,
    token.replaceAll('.', ' '),
    '\0',
    '😀.😀.😀',
  ])
    t.throws(() => parseTokenHeader(wrong), refusal('bad_signature'), JSON.stringify(wrong).slice(0, 40))
})

t.test('rejects a header that is not a JSON object with exactly typ, alg and kid', async t => {
  const wrong: unknown[] = [
    '',
    '{',
    '[]',
    'null',
    '1',
    '"x"',
    '\ufeff{}',
    Buffer.from([0xff]),
    [header],
    { ...header, x: 1 },
    { ...header, crit: [] },
    { ...header, kid: 1 },
    { ...header, kid: null },
    { ...header, kid: undefined },
    { ...header, alg: 1 },
    { ...header, alg: undefined },
    `{"typ":"at+jwt","alg":"ES256","kid":"x","__proto__":{}}`,
  ]
  for (const value of wrong)
    t.throws(() => parseTokenHeader(withHeader(value)), refusal('bad_signature'), JSON.stringify(value))
  for (const value of [
    {},
    { ...header, typ: undefined },
    { ...header, typ: 'JWT' },
    { ...header, typ: 'AT+JWT' },
    { ...header, typ: ['at+jwt'] },
    { ...header, typ: 1, x: 1 },
  ])
    t.throws(() => parseTokenHeader(withHeader(value)), refusal('wrong_type'), JSON.stringify(value))
})

t.test('rejects a token of more than 4096 characters', async t => {
  const ofLength = (length: number) => `${head}.${'A'.repeat(length - token.length + body.length)}.${signature}`
  const lengths = [4096, 4095, 4094].filter(length => (length - token.length + body.length) % 4 !== 1)
  for (const length of lengths)
    t.same(parseTokenHeader(ofLength(length)), { alg: 'ES256', kid: jwk.kid }, String(length))
  for (const length of [4097, 4098, 4099, 1_000_000])
    t.throws(() => parseTokenHeader(ofLength(length)), refusal('bad_signature'), String(length))
})

t.test('either parses or rejects arbitrary text', async t => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.dictionary(fc.constantFrom('typ', 'alg', 'kid', 'x'), fc.oneof(fc.string(), fc.integer())), {
        minLength: 3,
        maxLength: 3,
      })
      .map(values => values.map(encode).join('.')),
  )
  fc.assert(
    fc.property(text, value => {
      try {
        parseTokenHeader(value)
        return false // three random values are never a valid header
      } catch (error) {
        return (error as { name?: string }).name === 'OAuthError'
      }
    }),
    { numRuns: 1000 },
  )
  t.doesNotThrow(() => parseTokenHeader(token))
})

t.test('accepts only the low-s form of the two equivalent signatures (JW11)', async t => {
  const publicKey = createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' }))
  const input = Buffer.from(`${head}.${body}`)
  const holds = (bytes: Buffer) => verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes)
  const low = signatureOf(token)
  const high = withOtherS(low)
  t.ok(holds(low) && holds(high), 'both verify with a library that does not check s')
  t.ok(hasLowS(low))
  t.notOk(hasLowS(high))
  t.same(withLowS(high), low)
  t.same(withLowS(low), low)
})

t.test('treats s as low up to (n − 1) / 2, and as high from the next number', async t => {
  const half = p256Order / 2n
  const withS = (s: bigint) => Buffer.concat([Buffer.alloc(32, 0xff), numberBytes(s)])
  for (const s of [0n, 1n, half - 1n, half]) t.ok(hasLowS(withS(s)), `${s}`)
  for (const s of [half + 1n, half + 2n, p256Order - 1n, p256Order, 2n ** 256n - 1n]) t.notOk(hasLowS(withS(s)), `${s}`)
  t.same(withLowS(withS(half + 1n)), withS(half))
  t.same(withLowS(withS(p256Order - 1n)), withS(1n), 'padded with leading zeros')
})

t.test('leaves signatures of other lengths for the verification to reject', async t => {
  for (const length of [0, 1, 63, 65, 384]) {
    const bytes = Buffer.alloc(length, 0xff)
    t.ok(hasLowS(bytes))
    t.equal(withLowS(bytes), bytes)
  }
})

t.test('accepts as low-s exactly one of a signature and the equivalent one with the other s, for every s', async t => {
  const s = fc.bigInt({ min: 1n, max: p256Order - 1n })
  fc.assert(
    fc.property(s, value => {
      const bytes = Buffer.concat([Buffer.alloc(32, 7), numberBytes(value)])
      const twin = withOtherS(bytes)
      return hasLowS(bytes) !== hasLowS(twin) && withLowS(bytes).equals(withLowS(twin)) && hasLowS(withLowS(bytes))
    }),
  )
  t.ok(hasLowS(signers.ES256(Buffer.from('x'), createPrivateKey({ key: jwk, format: 'jwk' }))))
})
