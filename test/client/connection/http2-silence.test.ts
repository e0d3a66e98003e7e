// HTTP/2 connections that a NAT or a firewall dropped: no packet passes, and neither end is notified. GW04.
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { type Client, connect, createClient } from '../../../src/client/client.ts'
import { startServerBehindRelay } from '../../helpers/client/relay.ts'

/** Advances the wall clock by `seconds` until the test ends, as if the machine had slept. */
function sleep(t: Test, seconds: number): void {
  const { now } = Date
  Date.now = () => now() + seconds * 1000
  t.teardown(() => {
    Date.now = now
  })
}

async function start(t: Test, { clients = 1 } = {}) {
  const { relay, origin, identity, server } = await startServerBehindRelay(t)
  let pings = 0
  server.app.server.on('session', session => session.on('ping', () => pings++))
  const all = Array.from({ length: clients }, () => createClient({ origin, identity }))
  t.teardown(() => Promise.all(all.map(client => client.close())))
  t.teardown(() => relay.cut()) // first: the server waits for its open connections
  for (const client of all) t.equal((await client.fetch('/api/whoami')).status, 200)
  return { relay, clients: all, client: all[0] as Client, pings: () => pings }
}

t.test('sends a request after a silence over a live connection, whatever its method and body', async t => {
  const { relay, clients } = await start(t, { clients: 3 })
  const note = JSON.stringify({ text: 'once' })
  const stream = new PassThrough()
  stream.end(note)
  const headers = { 'content-type': 'application/json' }
  const orders = [{ method: 'GET' }, ...[note, stream].map(body => ({ method: 'POST', headers, body }))] as const
  sleep(t, 11)
  relay.forget()
  await Promise.all(
    clients.map(async ({ dispatcher, state }, index) => {
      const { statusCode, body } = await dispatcher.request({ path: '/api/notes', ...orders[index] } as never)
      await body.dump()
      t.match([statusCode, state().counts.repeated], [index === 0 ? 200 : 201, 0], 'no request was repeated')
      t.equal(state().connections.length, 1, 'the dead connection is removed')
    }),
  )
  t.equal(relay.count, 6)
  const { notes } = (await (await (clients[0] as Client).fetch('/api/notes')).json()) as { notes: unknown[] }
  t.equal(notes.length, 2)
})

t.test('keeps using a live connection, with one PING per silence', async t => {
  const { relay, client, pings } = await start(t)
  const ask = async () => t.equal((await client.fetch('/api/whoami')).status, 200)
  await Promise.all([ask(), ask()])
  t.equal(pings(), 0, 'a busy connection gets no PING')
  sleep(t, 11)
  await Promise.all([ask(), ask(), ask()])
  await ask()
  t.match([pings(), relay.count], [1, 1])
  sleep(t, -3600) // a clock set back does not hide the silence
  await ask()
  t.match([pings(), relay.count], [2, 1])
})

t.test('a request that waits for a PING can be aborted, and is completed before its connection closes', async t => {
  const { relay, origin, identity } = await startServerBehindRelay(t)
  const channel = await connect(origin, identity)
  const ask = (signal?: AbortSignal) =>
    channel.dispatcher.request({ path: '/binding', method: 'GET', ...(signal && { signal }) })
  sleep(t, 11)
  const given = new AbortController()
  const abandoned = ask(given.signal)
  given.abort()
  const kept = ask()
  const closed = channel.close()
  await t.rejects(abandoned, { name: 'AbortError' })
  t.equal((await kept).statusCode, 200)
  await (await kept).body.dump()
  await closed
  t.equal(relay.count, 1)
})

t.test('a closed channel completes the requests under way and sends no new ones', async t => {
  const { relay, origin, identity } = await startServerBehindRelay(t)
  for (const http2 of [true, false]) {
    const channel = await connect(origin, identity, { http2 })
    const ask = () => channel.dispatcher.request({ path: '/binding', method: 'GET' })
    const kept = ask()
    const closed = channel.close()
    await t.rejects(ask(), { code: 'UND_ERR_CLOSED' })
    const { statusCode, body } = await kept
    t.equal(statusCode, 200)
    await body.dump()
    await closed
  }
  t.equal(relay.count, 2)
})

t.test('closing does not wait for an unreachable server', async t => {
  const { relay, client } = await start(t)
  relay.forget()
  await client.close()
  t.same(client.state().connections, [])
})
