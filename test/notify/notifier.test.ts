// Notifications from event to receiver, over real HTTPS: who is notified of what, retries, and their end.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { outboxLimit } from '../../src/notify/outbox.ts'
import { spoolLimit } from '../../src/store/notifications.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { startNotifier } from '../helpers/server/notifier.ts'
import { secret, startReceiver, theft } from '../helpers/server/webhook-receiver.ts'
import { watchStore } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.test('notifies the receivers that subscribe to an event, of all clients or of one', async t => {
  const one = await startReceiver(t)
  const other = await startReceiver(t)
  const events = ['refresh.reused', 'key.rotated']
  const notifier = startNotifier(t, [one.known(), other.known({ client_id: 'bob', events })])
  notifier.observe(theft())
  await until(() => one.delivered.length === 1)
  t.same(one.delivered[0]?.json, {
    type: 'theft.suspected',
    timestamp: '2026-11-24T14:00:00.000Z',
    data: {
      outcome: 'unknown',
      client_id: 'alice',
      jti: 'jti-1',
      reason: 'connection_mismatch',
      signal: 'token.refused',
      response: 'revoke_grant',
    },
  })
  t.match(one.delivered[0]?.headers, {
    'content-type': 'application/json',
    'user-agent': 'tlsbound',
    'webhook-id': /^msg_[\w-]{24}$/,
  })
  for (const facts of [{ client_id: 'bob' }, { event: 'refresh.reused' }, { event: 'token.issued', client_id: 'bob' }])
    notifier.observe(theft(facts))
  notifier.observe(theft({ event: 'refresh.reused', client_id: 'bob', reason: undefined }))
  await until(() => one.delivered.length === 4 && other.delivered.length === 1)
  await notifier.pass(100)
  t.same(
    one.delivered.map(({ json }) => `${json.type} of ${json.data.client_id}`).toSorted(),
    ['refresh.reused', 'theft.suspected'].flatMap(type => [`${type} of alice`, `${type} of bob`]),
  )
  t.match(other.delivered, [{ json: { type: 'refresh.reused', data: { client_id: 'bob' } } }])
  t.equal(other.delivered.length, 1)
  t.same(await notifier.store.findDueReceivers(Number.MAX_SAFE_INTEGER), [], 'nothing is waiting')
})

t.test('notifies once a minute of repeated events, with their number, without delaying others', async t => {
  const receiver = await startReceiver(t)
  const notifier = startNotifier(t, [receiver.known()])
  for (let count = 0; count < 1000; count++) notifier.observe(theft())
  notifier.observe(theft({ jti: 'jti-2' }))
  await until(() => receiver.delivered.length === 2)
  await notifier.pass(59)
  notifier.observe(theft())
  await notifier.pass(1)
  t.equal(receiver.delivered.length, 2)
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 3)
  t.same(
    receiver.delivered.map(({ json }) => json.data.suppressed),
    [undefined, undefined, 1000],
  )

  for (let count = 0; count < 10_000; count++) notifier.observe(theft({ client_id: `spray-${count}` }))
  await until(() => receiver.delivered.length >= 50)
  await notifier.pass(30)
  const { length } = receiver.delivered
  t.ok(length < 70, `${length} of 10 000 different ones within a minute`)
  await notifier.pass(31)
  notifier.observe(theft({ client_id: 'the next minute' }))
  await until(() => receiver.delivered.length === length + 1)
})

t.test('retries a failed notification at growing intervals, with the same id and body', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(response => response.writeHead(500).end())
  const notifier = startNotifier(t, [receiver.known()])
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  const attempts: number[] = []
  for (let hour = 0; hour < 24 * 4; hour++) {
    for (let step = 0; step < (hour === 0 ? 60 : 4); step++) await notifier.pass(hour === 0 ? 60 : 900)
    attempts.push(receiver.delivered.length)
  }
  t.ok((attempts[0] ?? 0) >= 5, `${attempts[0]} attempts in the first hour`)
  t.equal(receiver.delivered.length, 12, 'then it is given up')
  t.ok(attempts.indexOf(12) >= 71, 'after three days')
  const [first, ...others] = receiver.delivered
  for (const [index, each] of others.entries()) {
    t.equal(each.body, first?.body)
    t.equal(each.headers['webhook-id'], first?.headers['webhook-id'])
    t.ok(Number(each.headers['webhook-timestamp']) > Number(receiver.delivered[index]?.headers['webhook-timestamp']))
    t.not(each.headers['webhook-signature'], first?.headers['webhook-signature'])
  }
  const facts = { receiver: `127.0.0.1:${receiver.port}`, type: 'theft.suspected', client_id: 'alice', attempts: 12 }
  t.same(notifier.reports, [
    { ...facts, reason: 'given_up', notification: first?.headers['webhook-id'], problem: '500', jti: 'jti-1' },
  ])
  notifier.observe(theft())
  receiver.answer(response => response.writeHead(200).end('ok'))
  await until(() => receiver.delivered.length === 13)
  t.equal(notifier.reports.length, 1, 'control')
})

t.test('waits up to an hour for a receiver that asks for time, and sends it nothing else meanwhile', async t => {
  const receiver = await startReceiver(t)
  let retryAfter = '120'
  receiver.answer(response => response.writeHead(503, { 'retry-after': retryAfter }).end())
  const notifier = startNotifier(t, [receiver.known()])
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  await notifier.pass(100)
  notifier.observe(theft({ jti: 'jti-2' }))
  await notifier.pass(19)
  t.equal(receiver.delivered.length, 1)
  retryAfter = '999999999'
  await notifier.pass(1)
  t.equal(receiver.delivered.length, 3)
  await notifier.pass(3599)
  t.equal(receiver.delivered.length, 3)
  receiver.answer(response => response.writeHead(204).end())
  await notifier.pass(1)
  t.equal(receiver.delivered.length, 5)
  t.same(notifier.reports, [])
})

t.test(
  'stops sending to a receiver that answered 410 until the list is loaded again, without losing a notification',
  async t => {
    const [receiver, other] = [await startReceiver(t), await startReceiver(t)]
    receiver.answer(response => response.writeHead(410).end())
    const notifier = startNotifier(t, [receiver.known(), other.known()])
    notifier.observe(theft())
    await until(() => notifier.reports.length > 0)
    t.match(notifier.reports, [{ reason: 'receiver_gone', problem: '410' }])
    receiver.answer(response => response.writeHead(204).end())
    notifier.observe(theft({ jti: 'jti-2' }))
    await notifier.pass(3600)
    t.equal(receiver.delivered.length, 1)
    t.equal(other.delivered.length, 2, 'control')
    notifier.replace([receiver.known(), other.known()])
    await notifier.pass(1)
    t.match(receiver.delivered, [{ json: { data: { jti: 'jti-1' } } }, { json: { data: { jti: 'jti-1' } } }])
    notifier.observe(theft({ jti: 'jti-3' }))
    await until(() => receiver.delivered.length === 3 && other.delivered.length === 3)
    notifier.replace([other.known()])
    notifier.observe(theft({ jti: 'jti-4' }))
    await until(() => other.delivered.length === 4)
    t.equal(receiver.delivered.length, 3, 'sends nothing to a receiver that was removed from the list')
  },
)

t.test('gives up notifications without room in the spool or in memory, with an event', async t => {
  const receiver = await startReceiver(t)
  const known = receiver.known()
  const store = openSqlite(':memory:')
  const spooled = { receiver: known.key, body: '{}', due: Number.MAX_SAFE_INTEGER, expires: Number.MAX_SAFE_INTEGER }
  for (let count = 0; count < spoolLimit; count++) await store.spoolNotification({ ...spooled, id: `${count}` })
  const notifier = startNotifier(t, [known], { store })
  notifier.observe(theft())
  await until(() => notifier.reports.length > 0)
  t.match(notifier.reports, [
    { reason: 'spool_full', client_id: 'alice', type: 'theft.suspected', notification: /^msg_/ },
  ])

  let isAway = true
  const away = async () => Promise.reject(new Error('away'))
  const second: Store = openSqlite(':memory:')
  const flaky: Store = {
    ...second,
    spoolNotification: notification => (isAway ? away() : second.spoolNotification(notification)),
    findDueReceivers: away,
  }
  const other = startNotifier(t, [known], { store: flaky })
  for (let minute = 0; minute * 50 < outboxLimit; minute++) {
    for (let count = 0; count < 50; count++) other.observe(theft({ jti: `${minute}-${count}` }))
    await other.pass(61)
  }
  t.same(other.reports, [])
  other.observe(theft({ jti: 'one too many' }))
  t.match(other.reports, [{ reason: 'store_unavailable', jti: 'one too many' }])
  isAway = false
  await other.pass(61)
  const limit = outboxLimit + 1
  const kept = await second.claimNotifications(known.key, { now: other.now, until: other.now + 1, limit })
  t.equal(kept.length, outboxLimit, 'each of the others is stored')
})

t.test('sends a stored notification once, although the response of the store was lost', async t => {
  const receiver = await startReceiver(t)
  const store = openSqlite(':memory:')
  let isLost = true
  const lossy: Store = {
    ...store,
    async spoolNotification(notification) {
      const kept = await store.spoolNotification(notification)
      if (isLost) throw new Error('the connection was cut')
      return kept
    },
  }
  const notifier = startNotifier(t, [receiver.known()], { store: lossy })
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  isLost = false
  for (let count = 0; count < 3; count++) await notifier.pass(100)
  t.equal(receiver.delivered.length, 1)
  t.same(notifier.reports, [])
})

t.test('reports an event that cannot be sent, without affecting decisions', async t => {
  const receiver = await startReceiver(t)
  const notifier = startNotifier(t, [receiver.known()])
  t.doesNotThrow(() => notifier.observe(theft({ jti: 1n })))
  t.same(notifier.reports, [{ reason: 'event_malformed', type: 'theft.suspected' }])
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
})

t.test('rotates secrets without a gap: each signs', async t => {
  const receiver = await startReceiver(t)
  const next = `whsec_${Buffer.alloc(24, 8).toString('base64')}`
  const notifier = startNotifier(t, [receiver.known({ secret: undefined, secrets: [next, secret] })])
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  t.match(receiver.delivered[0]?.headers['webhook-signature'], /^v1,[\w+/]{43}= v1,[\w+/]{43}=$/)
})

t.test('migrates a state file without notifications', async t => {
  const path = join(t.testdir(), 'state.db')
  const before = openSqlite(path)
  await before.addNote('alice', 'x', 1)
  await before.close()
  const file = new DatabaseSync(path)
  for (const sql of [
    'DROP TABLE notifications; DROP TABLE state; DROP INDEX clients_as_a_whole; PRAGMA user_version = 1',
    'ALTER TABLE grants DROP COLUMN issued_after; ALTER TABLE grants DROP COLUMN rebound',
    'ALTER TABLE refresh_tokens DROP COLUMN sealed; ALTER TABLE refresh_tokens ADD COLUMN last_used INTEGER',
    'ALTER TABLE refresh_tokens ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0',
  ])
    file.exec(sql)
  file.close()
  const receiver = await startReceiver(t)
  const notifier = startNotifier(t, [receiver.known()], { store: openSqlite(path) })
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  t.match(await notifier.store.listNotes('alice', 1), [{ text: 'x' }])
})

t.test('sends nothing more to a receiver that was removed from the list, however much waits for it', async t => {
  const [receiver, other] = [await startReceiver(t), await startReceiver(t)]
  const held: (() => void)[] = []
  receiver.answer(response => held.push(() => response.writeHead(204).end()))
  const { store, calls } = watchStore(openSqlite(':memory:'))
  const notifier = startNotifier(t, [receiver.known()], { store })
  for (let count = 0; count < 10; count++) notifier.observe(theft({ jti: `jti-${count}` }))
  await until(() => held.length === 4)
  notifier.replace([other.known()])
  for (const release of held.splice(0)) release()
  await until(() => calls.filter(call => call === 'removeNotification').length === 4)
  for (let count = 1; count <= 5; count++) {
    notifier.observe(theft({ jti: `other-${count}` }))
    await until(() => other.delivered.length === count)
  }
  t.equal(receiver.delivered.length, 4, 'the deliveries in progress')
  t.same(held, [])

  notifier.replace([receiver.known()])
  receiver.answer(response => response.writeHead(204).end())
  await notifier.pass(61)
  t.equal(receiver.delivered.length, 10, 'control: the rest is sent after it was added again')
})

t.test('delays no notification when the clock is set back (RE09)', async t => {
  const receiver = await startReceiver(t)
  const notifier = startNotifier(t, [receiver.known()])
  for (let kind = 0; kind < 100; kind++) notifier.observe(theft({ jti: `jti-${kind}` }))
  await until(() => receiver.delivered.length === 61)
  await notifier.pass(-7200)
  for (const jti of ['jti-1', 'new-1', 'new-2']) notifier.observe(theft({ jti }))
  await until(() => receiver.delivered.length === 64)
  notifier.observe(theft({ jti: 'jti-1' }))
  await notifier.poll()
  t.equal(receiver.delivered.length, 64, 'control: equal events within a minute are one')

  receiver.answer(response => response.writeHead(500).end())
  notifier.observe(theft({ jti: 'new-3' }))
  await notifier.poll()
  receiver.answer(response => response.writeHead(204).end())
  notifier.observe(theft({ jti: 'new-4' }))
  await notifier.poll()
  t.equal(receiver.delivered.length, 65, 'control: nothing is sent to a receiver that has failed')
  await notifier.pass(-1800)
  notifier.observe(theft({ jti: 'new-5' }))
  await notifier.poll()
  t.equal(receiver.delivered.at(-1)?.json.data.jti, 'new-5')
})
