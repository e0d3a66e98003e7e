// Decisions and notifications on one server: no response waits for a receiver or for the spool, and no webhook contains a
// token, wherever a thief puts it. LK01, LK11, DS13.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventNames } from '../../../src/audit/event.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { startReceiver, type WebhookReceiver } from '../../helpers/server/webhook-receiver.ts'
import { post, refresh, register } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

const bound = { token_binding: 'certificate' }
const all = eventNames.filter(name => name !== 'notification.failed')

/** A server that notifies a receiver of every event. */
async function start(t: Test, receiver: WebhookReceiver, store: Store = openSqlite(':memory:')) {
  const folder = t.testdir({ 'ca.pem': receiver.ca })
  const path = join(folder, 'webhooks.json')
  writeFileSync(path, JSON.stringify([receiver.entry({ events: all, ca_file: 'ca.pem' })]))
  chmodSync(path, 0o600)
  const clients = [
    register('alice'),
    register('bob', { access_token_format: 'opaque' }),
    register('mallory', { grant_types: ['client_credentials'] }),
  ]
  const server = await startTestServer({ env: { TLSBOUND_WEBHOOKS_FILE: path }, clients, store })
  t.teardown(() => server.close())
  return server
}

t.test('sends no token in a webhook, wherever a client has put one', async t => {
  const receiver = await startReceiver(t)
  const server = await start(t, receiver)
  const [alice, bob, mallory] = [
    await server.connect('alice'),
    await server.connect('bob'),
    await server.connect('mallory'),
  ]
  const tokens: string[] = []
  for (const owner of [alice, bob]) {
    const { body } = await owner.requestToken(bound)
    tokens.push(`${body?.access_token}`, `${body?.refresh_token}`)
  }
  for (const [index, token] of tokens.entries()) {
    await mallory.get('/api/whoami', token)
    await mallory.get(`/api/whoami/${token}`, token)
    await mallory.get(`/api/whoami?access_token=${token}`)
    await mallory.requestToken({ client_id: token })
    await mallory.requestToken({ scope: token, resource: token })
    await refresh(mallory, token, { client_id: 'mallory' })
    await post(mallory, '/oauth/revoke', { client_id: token, token })
    server.clock += 61
    await server.notifier.poll()
    t.ok(receiver.delivered.length > 5 * index, 'it was notified of that')
  }
  await refresh(alice, tokens[1] as string)
  server.clock += 61
  await refresh(alice, tokens[1] as string)
  await server.notifier.poll()
  const told = new Set(receiver.delivered.map(({ json }) => json.type))
  for (const type of ['token.issued', 'token.refused', 'client.refused', 'refresh.rotated', 'refresh.reused'])
    t.ok(told.has(type), type)
  const everything = JSON.stringify(receiver.delivered)
  for (const token of tokens)
    for (const part of token.startsWith('ey') ? token.split('.').slice(1) : [token.slice(16)])
      t.notOk(everything.includes(part.slice(0, 40)), 'neither as a whole nor its beginning')
  t.ok(everything.includes('(token)'), 'control: a token was used as a name')
  const jtis = server.events.filter(({ event }) => event === 'token.issued').map(({ jti }) => jti)
  t.ok(
    jtis.every(jti => everything.includes(jti)),
    'control: tokens are named by id',
  )
  t.ok(receiver.delivered.every(({ body }) => body.length < 16_384))
})

t.test('answers without waiting for a receiver that hangs or a store that accepts no notifications', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(() => {})
  const store = openSqlite(':memory:')
  let open = () => {}
  const gate = new Promise<void>(opened => {
    open = opened
  })
  let spooled = 0
  const slow: Store = {
    ...store,
    async spoolNotification(notification) {
      await gate
      spooled++
      return store.spoolNotification(notification)
    },
  }
  const server = await start(t, receiver, slow)
  const [alice, thief] = [await server.connect('alice'), await server.connect('alice')]
  const token = await alice.token()
  t.match(await alice.get('/api/whoami', token), { status: 200 }, 'control')
  t.match(await thief.get('/api/whoami', token), { status: 401, body: { reason: 'connection_mismatch' } })
  t.equal(spooled, 0, 'before any notification is stored')
  open()
  await until(() => receiver.delivered.some(({ json }) => json.data.reason === 'connection_mismatch'))
  const others = await alice.token(bound)
  t.match(await alice.get('/api/whoami', others), { status: 200 })
  t.match(await thief.get('/api/whoami', 'garbage'), { status: 401 }, 'while its receiver hangs')
  const started = performance.now()
  for (let count = 0; count < 20; count++) await thief.get('/api/whoami', token)
  t.ok(performance.now() - started < 8000, 'a receiver has ten seconds')
})
