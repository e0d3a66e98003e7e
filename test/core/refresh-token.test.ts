// The rotation rule: every branch to the millisecond, and against a model of honest and malicious clients; and the form of
// opaque tokens. N-42, N-43, N-37; RFC 9700 §4.14.
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { buildOpaqueToken, hashOpaqueToken, isOpaqueToken } from '../../src/core/opaque-token.ts'
import { judgeRefresh, type RefreshTokenFacts, refreshReasons } from '../../src/core/refresh-token.ts'

const unused: RefreshTokenFacts = {
  rotation: 'rotate',
  expires: 1000,
  revoked: false,
  used: undefined,
  superseded: false,
  successorUsed: false,
}
const used = { ...unused, used: { first: 100_000, latest: 100_000 } }
const retriedAt = (latest: number) => ({ ...unused, used: { first: 100_000, latest } })

t.test(
  'rotates a refresh token once, allows a retry while the response may be lost, and otherwise reports reuse (N-42)',
  async t => {
    const cases: [string, RefreshTokenFacts, number, string][] = [
      ['unused', unused, 100_000, 'rotated'],
      ['at the last moment of its grant', unused, 999_999, 'rotated'],
      ['when its grant ends', unused, 1_000_000, 'expired'],
      ['of a revoked grant', { ...unused, revoked: true }, 100_000, 'revoked'],
      ['of a revoked grant that has ended', { ...unused, revoked: true }, 1_000_000, 'revoked'],
      ['at the same time as the first use', used, 100_000, 'raced'],
      ['by a clock that is behind', used, 99_000, 'raced'],
      ['at the end of the race', used, 100_999, 'raced'],
      ['after the race', used, 101_000, 'retried'],
      ['at the end of the retry period', used, 159_999, 'retried'],
      ['after the retry period', used, 160_000, 'reused'],
      ['after its successor was used', { ...used, successorUsed: true }, 101_000, 'reused'],
      ['during the race, its successor already used', { ...used, successorUsed: true }, 100_999, 'raced'],
      ['at the same time as a retry', retriedAt(110_000), 110_500, 'raced'],
      ['after a retry', retriedAt(110_000), 111_000, 'retried'],
      ['after a retry, counted from the first use', retriedAt(159_000), 160_000, 'reused'],
      ['replaced by a retry', { ...unused, superseded: true }, 100_000, 'reused'],
      ['replaced by a retry, when its grant ends', { ...unused, superseded: true }, 1_000_000, 'expired'],
      ['static', { ...unused, rotation: 'static' }, 100_000, 'static'],
      ['static, used before', { ...used, rotation: 'static' }, 100_001, 'static'],
      ['static, when its grant ends', { ...unused, rotation: 'static' }, 1_000_000, 'expired'],
      ['static, revoked', { ...unused, rotation: 'static', revoked: true }, 100_000, 'revoked'],
    ]
    for (const [words, facts, now, outcome] of cases) t.equal(judgeRefresh(facts, now), outcome, words)
    for (const [reason] of Object.values(refreshReasons)) t.match(reason, /^refresh_(unknown|expired|revoked|reused)$/)
  },
)

t.test('accepts a used token at most once a second, and never after a minute (N-42)', async t => {
  const times = fc.array(fc.integer({ min: 0, max: 70_000 }), { minLength: 1, maxLength: 30 })
  const once = fc.property(times, arrivals => {
    let facts: RefreshTokenFacts = unused
    const successes: number[] = []
    for (const now of arrivals) {
      const outcome = judgeRefresh(facts, now)
      if (outcome === 'reused') break
      if (outcome !== 'rotated' && outcome !== 'retried') continue
      successes.push(now)
      facts = { ...facts, used: { first: facts.used?.first ?? now, latest: now } }
    }
    return successes.every(
      (now, index) => index === 0 || (now - (successes[index - 1] ?? 0) >= 1000 && now - (successes[0] ?? 0) < 60_000),
    )
  })
  t.doesNotThrow(() => fc.assert(once))
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
