// When a signing key is published, signs and goes: no second in which a good token is bad.
import fc from 'fast-check'
import t from 'tap'
import { findPublished, findSigning, isRotationDue, rotate, type Scheduled } from '../../src/core/key-schedule.ts'

const overlap = { before: 300, after: 86_400 }
const now = 1_800_000_000
const first: Scheduled = { kid: 'first' }

t.test('without times the first key signs, and all are published', async t => {
  const keys = [first, { kid: 'second' }]
  t.equal(findSigning(keys, now).kid, 'first')
  t.same(findPublished(keys, now), keys)
})

t.test('a new key is published before it signs, and the old one stays until its last token has expired', async t => {
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

t.test('a rotation removes what is dead, and leaves the end that an earlier one has set', async t => {
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

t.test('keys of which none has begun, or none is left, sign nothing', async t => {
  t.throws(() => findSigning([{ kid: 'early', nbf: now + 1 }], now), RangeError)
  t.throws(() => findSigning([{ kid: 'late', exp: now }], now), RangeError)
  t.throws(() => findSigning([], now), RangeError)
  t.equal(findSigning([{ kid: 'early', nbf: now }], now).kid, 'early')
})

t.test('a rotation is due in time for the next key to begin when the newest one has its age', async t => {
  const keys = [
    { kid: 'a', nbf: now - 1000 },
    { kid: 'b', nbf: now },
  ]
  t.equal(isRotationDue(keys, now + 3600 - 301, 3600, overlap), false)
  t.equal(isRotationDue(keys, now + 3600 - 300, 3600, overlap), true)
  t.equal(isRotationDue([first], now, 3600, overlap), true, 'a key without a beginning is old')
})

t.test('whenever keys are rotated, every token that was signed is verifiable while it lives', async t => {
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
          for (const kid of alive) if (!published.includes(kid)) throw new Error(`${kid} went too early`)
          signed.push({ kid: findSigning(keys, time).kid, until: time + lifetime })
          if (index % 2 === 0) keys = rotate(keys, { kid: `key ${index}` }, time, overlap)
        })
      }),
    )
  t.doesNotThrow(holds)
})
