// Whether two servers accept each other's tokens, by their signing keys.
import t from 'tap'
import { rotate } from '../../src/core/key-schedule.ts'
import { compareKeys, isHarmful, type KnownKey } from '../../src/core/server-keys.ts'

const now = 1_800_000_000
const day = 86_400
const overlap = { before: 300, after: day }

function key(kid: string, more: Partial<KnownKey> = {}): KnownKey {
  return { kid, alg: 'ES256', thumbprint: `thumbprint of ${kid}`, ...more }
}

/** The differences, each as `KID WHAT`, and with `later` if no token is refused yet. */
function compare(own: readonly KnownKey[], other: readonly KnownKey[], time = now): string[] {
  return compareKeys(own, other, time).map(difference => {
    const { kid, what } = difference
    return `${kid} ${what}${isHarmful(difference, time) ? '' : ' later'}`
  })
}

t.test('finds no difference between servers with the same keys, in any order', async t => {
  const keys = [key('a', { nbf: now - 10, exp: now + day }), key('b', { nbf: now + 10 })]
  t.same(compare(keys, keys), [])
  t.same(compare(keys, keys.toReversed()), [])
})

t.test('finds keys that are missing at either server', async t => {
  t.same(compare([key('a')], [key('b')]), ['b here', 'a there'])
  t.same(compare([key('a')], [key('a'), key('b')]), ['b here'])
  t.same(compare([key('a'), key('b')], [key('a')]), ['b there'])
})

t.test('finds two keys with one id', async t => {
  t.same(compare([key('a')], [key('a', { thumbprint: 'another' })]), ['a content'])
  t.same(compare([key('a')], [key('a', { alg: 'RS256' })]), ['a content'])
  t.same(
    compare([key('a', { nbf: now + 10 })], [key('a', { nbf: now + 10, thumbprint: 'another' })]),
    ['a content'],
    'even before it signs',
  )
  t.same(compare([key('a', { exp: now }), key('b')], [key('a', { exp: now, thumbprint: 'another' }), key('b')]), [])
})

t.test('lets a rotation reach one server after the other, until the new key signs', async t => {
  const before = [key('a')]
  const after = rotate(before, key('b'), now, overlap)
  t.same(compare(after, before), ['b there later'])
  t.same(compare(before, after), ['b here later'])
  t.same(compare(after, before, now + 299), ['b there later'])
  t.same(compare(after, before, now + 300), ['b there'])
  for (let time = now; time < now + 3 * day; time += 1000) t.same(compare(after, after, time), [])
})

t.test('lets an old key be removed at one server after the other, once its last token has expired', async t => {
  const both = [key('a'), key('b', { nbf: now })]
  const one = [key('b', { nbf: now })]
  t.same(compare(one, both, now + day - 1), ['a here'], 'a token of the old key may still be valid')
  t.same(compare(one, both, now + day), [])
  t.same(compare(both, one, now + day), [])
  const expiring = rotate([key('a')], key('b'), now, overlap)
  const [, newest] = expiring as [KnownKey, KnownKey]
  t.same(compare([newest], expiring, now + 300 + day - 1), ['a here'])
  t.same(compare([newest], expiring, now + 300 + day), [], 'an expired key verifies nothing')
})

t.test('finds a signing key that the other server regards as expired', async t => {
  t.same(compare([key('a')], [key('a', { exp: now }), key('b')]), ['b here', 'a there'])
})

t.test('compares keys for JWTs and keys for PASETO each within their kind', async t => {
  const jwt = key('jwt', { nbf: now - 30 * day })
  const paseto = key('paseto', { alg: 'v4.public', nbf: now - 10 * day })
  t.same(compare([jwt, paseto], [paseto, jwt]), [], 'control')
  t.same(compare([paseto], [jwt, paseto]), ['jwt here'], 'a later key for PASETO replaces no key for JWTs')
  t.same(compare([jwt, paseto], [paseto]), ['jwt there'])
  const [newer, older] = [key('newer', { nbf: now - 2 * day }), { ...paseto, nbf: now - 10 * day }]
  t.same(compare([newer], [newer, older]), ['paseto here'], 'and the reverse')
  t.same(compare([newer, older], [newer]), ['paseto there'])

  const next = key('next', { alg: 'v4.public', nbf: now - 2 * day })
  t.same(compare([jwt, next], [jwt, paseto, next]), [], 'the last token of a replaced key for PASETO has expired')
  t.same(compare([jwt, paseto], [jwt, paseto, next]), ['next here'])
  const upcoming = { ...next, nbf: now + 300 }
  t.same(compare([jwt, paseto], [jwt, paseto, upcoming]), ['next here later'])
  t.same(compare([jwt, paseto], [jwt, upcoming]), ['next here later', 'paseto there'])
  t.same(compare([key('a')], [key('a', { alg: 'v4.public' })]), ['a content'], 'one id for both kinds')
})
