// When a signing key is published, used and removed: at every second, valid tokens verify.
import fc from 'fast-check'
import t from 'tap'
import { findPublished, findSigning, isRotationDue, rotate, type Scheduled } from '../../src/core/key-schedule.ts'

const overlap = { before: 300, after: 86_400 }
const now = 1_800_000_000
const first: Scheduled = { kid: 'first' }

t.test('signs with the first key and publishes all keys when no times are set', async t => {
  const keys = [first, { kid: 'second' }]
  t.equal(findSigning(keys, now).kid, 'first')
  t.same(findPublished(keys, now), keys)
})

t.test('publishes a new key before it signs, and the old key until its last token has expired', async t => {
  const keys = rotate([first], { kid: 'next' }, now, overlap)
  t.same(keys, [
    { kid: 'first', exp: now + 300 + 86_400 },
    { kid: 'next', nbf: now + 300 },
  ])
  t.equal(findSigning(keys, now).kid, 'first')
  t.equal(findSigning(keys, now + 299).kid, 'first')
  t.equal(findSigning(keys, now + 300).kid, 'next')
  t.equal(findPublished(keys, now).length, 2)
  t.equal(findPublished(keys, now + 300 + 86_399).length, 2)
  t.same(findPublished(keys, now + 300 + 86_400), [{ kid: 'next', nbf: now + 300 }])
})

t.test('removes expired keys on rotation, and leaves an earlier expiry unchanged', async t => {
  const keys: Scheduled[] = [
    { kid: 'dead', exp: now },
    { kid: 'old', exp: now + 10 },
    { kid: 'current', nbf: now - 10 },
  ]
  t.same(rotate(keys, { kid: 'next' }, now, overlap), [
    { kid: 'old', exp: now + 10 },
    { kid: 'current', nbf: now - 10, exp: now + 86_700 },
    { kid: 'next', nbf: now + 300 },
  ])
})

t.test('signs with no key that is not yet valid or has expired', async t => {
  t.throws(() => findSigning([{ kid: 'early', nbf: now + 1 }], now), RangeError)
  t.throws(() => findSigning([{ kid: 'late', exp: now }], now), RangeError)
  t.throws(() => findSigning([], now), RangeError)
  t.equal(findSigning([{ kid: 'early', nbf: now }], now).kid, 'early')
})

t.test(
  'starts a rotation early enough for the next key to sign when the newest key reaches its maximum age',
  async t => {
    const keys = [
      { kid: 'a', nbf: now - 1000 },
      { kid: 'b', nbf: now },
    ]
    t.equal(isRotationDue(keys, now + 3600 - 301, 3600, overlap), false)
    t.equal(isRotationDue(keys, now + 3600 - 300, 3600, overlap), true)
    t.equal(isRotationDue([first], now, 3600, overlap), true, 'a key without a start time is old')
  },
)

t.test('keeps every signed token verifiable for its lifetime, whenever keys are rotated', async t => {
  const steps = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 12 })
  const holds = () =>
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 86_400 }), (pauses, lifetime) => {
        let keys: Scheduled[] = [first]
        let time = now
        const signed: { kid: string; until: number }[] = []
        pauses.forEach((pause, index) => {
          time += pause
          const alive = signed.filter(({ until }) => until > time).map(({ kid }) => kid)
          const published = findPublished(keys, time).map(({ kid }) => kid)
          for (const kid of alive) if (!published.includes(kid)) throw new Error(`${kid} was removed too early`)
          signed.push({ kid: findSigning(keys, time).kid, until: time + lifetime })
          if (index % 2 === 0) keys = rotate(keys, { kid: `key ${index}` }, time, overlap)
        })
      }),
    )
  t.doesNotThrow(holds)
})
