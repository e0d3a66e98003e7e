// A value or a promise of it: a value is used at once, and both share one error handler.
import t from 'tap'
import { whenReady } from '../../src/core/when-ready.ts'

const fault = new RangeError('fault')
const raise = (): never => {
  throw fault
}

t.test('uses a value synchronously, and a promise when it resolves', async t => {
  const double = (value: number) => value * 2
  t.equal(
    whenReady(() => 2, double),
    4,
  )
  const later = whenReady(() => Promise.resolve(2), double)
  t.type(later, Promise)
  t.equal(await later, 4)
})

t.test('passes every error to fail, or throws it again', async t => {
  const fail = (error: unknown) => (error === fault ? 'failed' : 'another error')
  const use = () => 'used'
  t.equal(whenReady(raise, use, fail), 'failed')
  t.equal(
    whenReady(() => 1, raise, fail),
    'failed',
  )
  t.equal(await whenReady(() => Promise.reject(fault), use, fail), 'failed')
  t.equal(await whenReady(() => Promise.resolve(1), raise, fail), 'failed')
  t.throws(() => whenReady(raise, use), fault)
  await t.rejects(async () => whenReady(() => Promise.reject(fault), use), fault)
  t.equal(
    whenReady(() => 1, use, fail),
    'used',
    'control',
  )
})
