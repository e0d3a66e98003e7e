// The rotation rule: every branch to the millisecond; sealed successors; and the form of opaque tokens. The rule in all
// interleavings of honest and malicious clients: test/attack/refresh/interleavings.test.ts. N-42, N-43, N-37; RFC 9700 §4.14.
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { buildOpaqueToken, hashOpaqueToken, isOpaqueToken } from '../../src/core/opaque-token.ts'
import { detailOfReuse, judgeRefresh, type RefreshTokenFacts, refreshReasons } from '../../src/core/refresh-token.ts'
import { openSuccessor, sealSuccessor } from '../../src/core/sealed-successor.ts'

const unused: RefreshTokenFacts = { rotation: 'rotate', expires: 1000, revoked: false, used: undefined }
const used = (successor: 'sealed' | 'used' | 'gone'): RefreshTokenFacts => ({
  ...unused,
  used: { first: 100_000, successor },
})

t.test(
  'rotates a refresh token once, repeats its successor while that may be lost, and otherwise reports reuse (N-42)',
  async t => {
    const cases: [string, RefreshTokenFacts, number, string][] = [
      ['unused', unused, 100_000, 'rotated'],
      ['at the last moment of its grant', unused, 999_999, 'rotated'],
      ['when its grant ends', unused, 1_000_000, 'expired'],
      ['of a revoked grant', { ...unused, revoked: true }, 100_000, 'revoked'],
      ['of a revoked grant that has ended', { ...unused, revoked: true }, 1_000_000, 'revoked'],
      ['at the same time as the first use', used('sealed'), 100_000, 'retried'],
      ['by a clock that is behind', used('sealed'), 99_000, 'retried'],
      ['at the end of the retry period', used('sealed'), 159_999, 'retried'],
      ['after the retry period', used('sealed'), 160_000, 'reused'],
      ['after its successor was used', used('used'), 100_000, 'reused'],
      ['after its successor was used, by a clock that is behind', used('used'), 99_000, 'reused'],
      ['whose successor has no sealed copy', used('gone'), 100_000, 'reused'],
      ['used, of a revoked grant', { ...used('sealed'), revoked: true }, 100_000, 'revoked'],
      ['used, when its grant ends', used('used'), 1_000_000, 'expired'],
      ['static', { ...unused, rotation: 'static' }, 100_000, 'static'],
      ['static, used before', { ...used('gone'), rotation: 'static' }, 100_001, 'static'],
      ['static, when its grant ends', { ...unused, rotation: 'static' }, 1_000_000, 'expired'],
      ['static, revoked', { ...unused, rotation: 'static', revoked: true }, 100_000, 'revoked'],
    ]
    for (const [words, facts, now, outcome] of cases) t.equal(judgeRefresh(facts, now), outcome, words)
    for (const [reason] of Object.values(refreshReasons)) t.match(reason, /^refresh_(unknown|expired|revoked)$/)
    t.equal(detailOfReuse(used('used')), 'reused')
    for (const successor of ['sealed', 'gone'] as const) t.equal(detailOfReuse(used(successor)), 'answer_lost')
  },
)

t.test('seals a successor so that only the token that it replaces opens it', async t => {
  const [token, other, successor] = [1, 2, 3].map(() => buildOpaqueToken('rt', randomBytes(32))) as [
    string,
    string,
    string,
  ]
  const sealed = sealSuccessor(successor, token)
  t.equal(openSuccessor(sealed, token), successor, 'control')
  t.match(sealed, /^[A-Za-z0-9_-]+$/)
  t.not(sealSuccessor(successor, token), sealed, 'with a new nonce each time')
  for (const wrong of [other, successor, hashOpaqueToken(token), '', `${token} `, token.slice(1)])
    t.equal(openSuccessor(sealed, wrong), undefined, wrong)
  const octets = Buffer.from(sealed, 'base64url')
  for (let at = 0; at < octets.length; at++) {
    const changed = Buffer.from(octets)
    changed[at] = (changed[at] as number) ^ 1
    if (openSuccessor(changed.toString('base64url'), token) !== undefined) t.fail(`opened with a change at ${at}`)
  }
  for (let length = 0; length < octets.length; length++)
    if (openSuccessor(octets.subarray(0, length).toString('base64url'), token) !== undefined)
      t.fail(`opened at ${length}`)
  for (const text of ['', ' ', '\u0000', `${sealed}AA`, 'A'.repeat(100_000)])
    t.equal(openSuccessor(text, token), undefined, text.slice(0, 20))
  t.equal(openSuccessor(sealSuccessor('tlsbound_rt_x', token), token), undefined, 'what is no refresh token')
})

t.test('builds opaque tokens with a kind, 256 bits and a checksum, and recognises them (N-37)', async t => {
  for (const kind of ['rt', 'at'] as const)
    for (const random of [Buffer.alloc(32), Buffer.alloc(32, 255), randomBytes(32)]) {
      const token = buildOpaqueToken(kind, random)
      t.match(token, new RegExp(`^tlsbound_${kind}_[0-9A-Za-z]{49}$`))
      t.equal(isOpaqueToken(token), kind)
      t.match(hashOpaqueToken(token), /^[A-Za-z0-9_-]{43}$/)
      for (const length of [31, 33]) t.throws(() => buildOpaqueToken(kind, Buffer.alloc(length)), TypeError)
    }
  t.equal(
    buildOpaqueToken('rt', Buffer.from('00'.repeat(31).concat('3d'), 'hex')).slice(0, 55),
    `tlsbound_rt_${'0'.repeat(42)}z`,
  )
  t.equal(hashOpaqueToken('abc'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0', 'FIPS 180-4, SHA-256 of "abc"')
})

t.test('uses the CRC-32 of zlib over the preceding characters as the checksum', async t => {
  for (let count = 0; count < 50; count++) {
    const token = buildOpaqueToken('at', randomBytes(32))
    const value = [...token.slice(-6)].reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0)
    t.equal(value, crc32(token.slice(0, -6)))
  }
})

t.test('does not recognise a token with one changed character, or of another form', async t => {
  const token = buildOpaqueToken('rt', randomBytes(32))
  t.equal(isOpaqueToken(token), 'rt', 'control')
  for (let at = 0; at < token.length; at++) {
    const changed = token.slice(0, at) + (token[at] === 'a' ? 'b' : 'a') + token.slice(at + 1)
    if (isOpaqueToken(changed) !== undefined) t.fail(`recognised with a change at ${at}`)
  }
  const others = ['', 'tlsbound_rt_', token.replace('_rt_', '_at_'), `${token}\n`, ` ${token}`, token.slice(1)]
  for (const text of [...others, `${token}0`, token.toUpperCase(), token.slice(0, -1), 'a'.repeat(100_000)])
    t.equal(isOpaqueToken(text), undefined, JSON.stringify(text.slice(0, 80)))
})

t.test('builds different tokens from different random octets, and the same from the same', async t => {
  const octets = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes))
  const injective = fc.property(octets, octets, (one, other) => {
    return one.equals(other) === (buildOpaqueToken('rt', one) === buildOpaqueToken('rt', other))
  })
  t.doesNotThrow(() => fc.assert(injective))
})

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
