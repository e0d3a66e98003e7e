// Notifications that were not delivered when a server ended are delivered by the next one, and those in a shared store by one
// of its servers. RE01, RE02, RE06.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { lease } from '../../../src/notify/sender.ts'
import { openPostgres } from '../../../src/store/postgres.ts'
import { startTlsbound } from '../../helpers/process/process.ts'
import { startNotifier } from '../../helpers/server/notifier.ts'
import { startPostgres } from '../../helpers/server/postgres.ts'
import { startReceiver, theft, type WebhookReceiver } from '../../helpers/server/webhook-receiver.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(120_000)

/** The environment names a proxy that does not exist and disables certificate checks: notifications ignore both. */
const misleading = {
  NODE_USE_ENV_PROXY: '1',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  https_proxy: 'http://127.0.0.1:9',
  TLSBOUND_WEBHOOKS_FILE: 'webhooks.json',
}

/** A folder for a server that notifies a receiver of refused tokens. */
function prepare(t: Test, receiver: WebhookReceiver, other: object = {}) {
  const folder = t.testdir({ 'receivers.pem': receiver.ca })
  const write = (changes: object) => {
    const entry = receiver.entry({ events: ['token.refused'], ca_file: 'receivers.pem', ...changes })
    writeFileSync(join(folder, 'webhooks.json'), JSON.stringify([entry]))
    chmodSync(join(folder, 'webhooks.json'), 0o600)
  }
  write(other)
  return { folder, write }
}

/** Uses a token on another connection than its own. */
async function steal(server: Awaited<ReturnType<typeof startTlsbound>>) {
  const [alice, thief] = [await server.connect('alice'), await server.connect('alice')]
  const { status, body } = await thief.get('/api/whoami', await alice.token())
  t.match({ status, body }, { status: 401, body: { reason: 'connection_mismatch' } })
}

t.test('delivers after a restart when the server was killed between event and delivery', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(() => {})
  const { folder } = prepare(t, receiver)
  const first = await startTlsbound(t, folder, misleading)
  await steal(first)
  await until(() => receiver.delivered.length === 1)
  await first.end('SIGKILL')
  const state = new DatabaseSync(join(folder, 'data/tlsbound.db'))
  t.equal(state.prepare('UPDATE notifications SET due = due - ?').run(lease).changes, 1, 'as if a minute had passed')
  state.close()
  receiver.answer(response => response.writeHead(204).end())
  const second = await startTlsbound(t, folder, misleading)
  await until(() => receiver.delivered.length === 2)
  const [before, after] = receiver.delivered
  t.equal(after?.headers['webhook-id'], before?.headers['webhook-id'])
  t.equal(after?.body, before?.body)
  t.match(after?.json, { type: 'token.refused', data: { client_id: 'alice', reason: 'connection_mismatch' } })
  await second.end('SIGTERM')
  t.equal(receiver.delivered.length, 2, 'and no more')
})

t.test('stops without waiting for a receiver, and delivers immediately at its next start', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(() => {})
  const { folder, write } = prepare(t, receiver)
  const first = await startTlsbound(t, folder, misleading)
  await steal(first)
  await until(() => receiver.delivered.length === 1)
  const started = performance.now()
  t.match(await first.end('SIGTERM'), { code: 0 })
  t.ok(performance.now() - started < 7000, 'before it would have timed out')
  const state = new DatabaseSync(join(folder, 'data/tlsbound.db'))
  t.same(state.prepare('SELECT due <= ? AS now FROM notifications').all(Date.now()), [{ now: 1 }])
  state.close()

  receiver.answer(response => response.writeHead(410).end())
  const second = await startTlsbound(t, folder, misleading)
  await until(() => /"event":"notification.failed"/.test(second.stdout()))
  t.match(second.stdout(), /"event":"notification.failed".*"reason":"receiver_gone","receiver":"127.0.0.1:\d+"/)
  receiver.answer(response => response.writeHead(204).end())
  write({ secret: `whsec_${Buffer.alloc(40, 1).toString('base64')}` })
  const since = second.stderr().length
  second.child.kill('SIGHUP')
  await second.seen(/webhooks were loaded again/, since)
  await steal(second)
  await until(() => receiver.delivered.length >= 3)
  write({ secret: 'none' })
  second.child.kill('SIGHUP')
  await second.seen(/webhooks stay as they were: .*number 1: secret must be/, since)
  t.notMatch(second.stdout() + second.stderr(), /whsec_(?! )/, 'no output contains a secret')
})

t.test('sends each notification once from two servers with one store, even if one dies', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const receiver = await startReceiver(t)
  const stores = [openPostgres(postgres.url('webhooks')), openPostgres(postgres.url('webhooks'))] as const
  const servers = stores.map(store => startNotifier(t, [receiver.known()], { store }))
  for (let count = 0; count < 40; count++) servers[count % 2]?.observe(theft({ jti: `jti-${count}` }))
  await until(() => receiver.delivered.length >= 40)
  await Promise.all(servers.map(server => server.poll()))
  t.equal(receiver.delivered.length, 40)
  t.equal(new Set(receiver.delivered.map(({ headers }) => headers['webhook-id'])).size, 40)

  const [one, other] = servers as [(typeof servers)[0], (typeof servers)[0]]
  const [due, expires] = [one.now + 1_000_000, Math.floor(one.now / 1000) + 9999]
  const { key } = receiver.known()
  const body = receiver.delivered[0]?.body as string
  t.equal(await one.store.spoolNotification({ id: 'msg_of_the_dead', receiver: key, body, due, expires }), true)
  const claim = { now: due, until: due + lease, limit: 1 }
  t.match(await one.store.claimNotifications(key, claim), [{ id: 'msg_of_the_dead' }], 'no further delivery')
  await other.pass((claim.until - other.now) / 1000 - 1)
  t.equal(receiver.delivered.length, 40)
  await other.pass(1)
  t.match(receiver.delivered.slice(40), [{ headers: { 'webhook-id': 'msg_of_the_dead' } }])
})

t.test('holds notifications while the shared store is unavailable, and sends them afterwards', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const receiver = await startReceiver(t)
  const notifier = startNotifier(t, [receiver.known()], { store: openPostgres(postgres.url('webhooks')) })
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
  await notifier.poll()
  await postgres.stop()
  notifier.observe(theft({ jti: 'jti-2' }))
  await notifier.poll()
  t.equal(receiver.delivered.length, 1)
  await postgres.start()
  await until(() => receiver.delivered.length === 2)
  t.same(notifier.reports, [])
})
