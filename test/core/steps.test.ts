// Work in steps: at once, or with turns of the event loop in between.
import t from 'tap'
import { atOnce, inSteps, oneStep, type Steps } from '../../src/core/steps.ts'

function* count(to: number, milliseconds = 0): Steps<number> {
  for (let step = 1; step <= to; step++) {
    const end = performance.now() + milliseconds
    while (performance.now() < end);
    yield
  }
  return to
}

function* fail(): Steps<never> {
  yield
  throw new Error('broken')
}

t.test('returns what the work returns, and throws what it throws', async t => {
  t.equal(atOnce(count(3)), 3)
  t.equal(await inSteps(count(3)), 3)
  t.equal(await inSteps(oneStep(() => 'one')), 'one')
  t.throws(() => atOnce(fail()), { message: 'broken' })
  await t.rejects(inSteps(fail()), { message: 'broken' })
})

t.test('lets the event loop turn between long steps, and runs each step in `around`', async t => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  let steps = 0
  await inSteps(count(10, 12), step => {
    steps++
    return step()
  })
  clearInterval(timer)
  t.equal(steps, 11)
  t.ok(turns >= 5, `${turns} turns`)
})
