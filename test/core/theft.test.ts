// What follows from a signal of theft, and how often.
import t from 'tap'
import { theftResponses } from '../../src/core/client.ts'
import { type Reason, reasons } from '../../src/core/errors.ts'
import { suspect, TheftWatch } from '../../src/core/theft.ts'

t.test('another certificate, or none, is somebody else; another connection may be the client itself', async t => {
  const suspicious = Object.keys(reasons).map(reason => [reason, suspect(reason as Reason)])
  t.same(Object.fromEntries(suspicious.filter(([, suspicion]) => suspicion !== undefined)), {
    no_certificate: 'certain',
    certificate_untrusted: 'certain',
    certificate_mismatch: 'certain',
    refresh_unknown: 'certain',
    refresh_reused: 'certain',
    connection_mismatch: 'possible',
    refresh_certificate_mismatch: 'possible',
  })
})

t.test('the policy of the client decides what follows, and a possible theft never costs a grant', async t => {
  const certain = theftResponses.map(policy => new TheftWatch().judge('1', 'alice', 'certain', policy, 0)?.response)
  t.same(certain, [undefined, 'alert', 'revoke_token', 'revoke_grant', 'close'])
  const possible = theftResponses.map(policy => {
    const watch = new TheftWatch()
    watch.judge('1', 'alice', 'possible', policy, 0)
    watch.judge('1', 'alice', 'possible', policy, 1)
    return watch.judge('1', 'alice', 'possible', policy, 2)?.response
  })
  t.same(possible, [undefined, 'alert', 'revoke_token', 'revoke_token', 'revoke_token'])
})

t.test('a connection that is another one counts from the third time in a minute', async t => {
  const watch = new TheftWatch()
  const judge = (now: number, token = '1') => watch.judge(token, 'alice', 'possible', 'alert', now)
  t.same([judge(0), judge(30), judge(61)], [undefined, undefined, undefined], 'the third is in the next minute')
  t.same([judge(62), judge(63)], [undefined, { response: 'alert', damped: false, count: 3 }])
  t.equal(judge(64, '2'), undefined, 'another token')
})

t.test('equal signals are one alarm a minute, and the next one says how many there were', async t => {
  const watch = new TheftWatch()
  const judge = (now: number) => watch.judge('1', 'alice', 'certain', 'alert', now)
  t.match(judge(0), { response: 'alert', count: 1 })
  for (let now = 1; now < 60; now++) t.equal(judge(now), undefined)
  t.match(judge(60), { response: 'alert', count: 60 })
  t.equal(judge(119), undefined)
  t.match(judge(120), { count: 2 })
})

t.test(
  'whoever sprays the stolen tokens of a client takes three of them in ten minutes, and the rest is an alarm',
  async t => {
    const watch = new TheftWatch()
    const judge = (token: number, now: number, client = 'alice') =>
      watch.judge(String(token), client, 'certain', 'close', now)
    t.same(
      [1, 2, 3, 4, 5].map(token => judge(token, token)),
      [
        ...Array(3).fill({ response: 'close', damped: false, count: 1 }),
        ...Array(2).fill({ response: 'alert', damped: true, count: 1 }),
      ],
    )
    t.match(judge(6, 6, 'bob'), { response: 'close', damped: false }, 'others are not concerned')
    t.match(judge(7, 600), { response: 'alert' })
    t.match(judge(8, 601), { response: 'close' }, 'ten minutes after the first')
    t.match(judge(9, 601), { response: 'alert' }, 'but the second was only then')
  },
)

t.test('an alarm takes nothing, so it is never held back', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 5; token++)
    t.match(watch.judge(String(token), 'alice', 'certain', 'alert', 0), { response: 'alert', damped: false })
  t.match(watch.judge('5', 'alice', 'certain', 'close', 0), { response: 'close', damped: false })
})

t.test('what is watched has a bound', async t => {
  const watch = new TheftWatch()
  for (let token = 0; token < 20_000; token++) watch.judge(String(token), 'alice', 'certain', 'alert', 0)
  t.match(watch.judge('0', 'alice', 'certain', 'alert', 0), { count: 1 }, 'the oldest was forgotten')
  t.equal(watch.judge('19999', 'alice', 'certain', 'alert', 0), undefined, 'control: the latest was not')
})

t.test('RE09: a clock that is put back neither keeps an alarm back nor what can be taken', async t => {
  const watch = new TheftWatch()
  const judge = (token: string, now: number) => watch.judge(token, 'alice', 'certain', 'close', now)
  for (const token of ['1', '2', '3']) t.match(judge(token, 8000), { response: 'close' })
  t.match(judge('4', 8000), { damped: true }, 'control')
  t.equal(judge('1', 8001), undefined, 'control')
  t.match(judge('1', 800), { response: 'close', count: 2 })
})
