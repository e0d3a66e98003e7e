// Misbehaving receivers of webhooks must not affect the server, other receivers, or the delivery to them. No redirect is
// followed, no receiver is waited for or trusted. DS05, RE12.
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { startNotifier } from '../../helpers/server/notifier.ts'
import { readKnown, receiverIdentity, secret, startReceiver, theft } from '../../helpers/server/webhook-receiver.ts'
import { until } from '../../helpers/until.ts'

t.test('delivers to other receivers while one hangs, and abandons it when the server ends', async t => {
  const [hanging, other] = [await startReceiver(t), await startReceiver(t)]
  hanging.answer(() => {})
  const notifier = startNotifier(t, [hanging.known(), other.known()])
  for (let count = 0; count < 9; count++) notifier.observe(theft({ jti: `jti-${count}` }))
  await until(() => hanging.delivered.length === 4 && other.delivered.length === 9)
  t.equal(hanging.delivered.length, 4, 'a few at a time')
  const started = performance.now()
  await notifier.close()
  t.ok(performance.now() - started < 5000, 'before any delivery timed out')
  const claim = { now: notifier.now, until: notifier.now + 1, limit: 99 }
  const left = await notifier.store.claimNotifications(hanging.known().key, claim)
  t.equal(left.length, 9, 'for the next start, immediately')
  t.same(notifier.reports, [])
})

t.test('times out a receiver that hangs, and retries', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(() => {})
  const notifier = startNotifier(t, [receiver.known()], { timeout: 300 })
  notifier.observe(theft())
  await notifier.poll()
  t.same(notifier.reports, [])
  receiver.answer(response => response.writeHead(204).end())
  const patient = startNotifier(t, [receiver.known()], { store: notifier.store })
  await patient.pass(10)
  const { key } = receiver.known()
  t.match(receiver.delivered.at(-1), { json: { data: { jti: 'jti-1' } } })
  t.same(await patient.store.claimNotifications(key, { now: patient.now + 99_000, until: 0, limit: 1 }), [])
})

t.test('delivers every notification to a receiver that failed for an hour', async t => {
  const receiver = await startReceiver(t)
  receiver.answer(response => response.writeHead(500).end('no'))
  const notifier = startNotifier(t, [receiver.known()])
  for (let minute = 0; minute < 60; minute++) {
    if (minute < 20) notifier.observe(theft({ jti: `jti-${minute}` }))
    await notifier.pass(60)
  }
  const attempts = receiver.delivered.length
  t.ok(attempts >= 60 && attempts <= 120, `${attempts} attempts for 20 notifications`)
  receiver.answer(response => response.writeHead(204).end())
  for (let minute = 0; minute < 180; minute++) await notifier.pass(60)
  const after = receiver.delivered.slice(attempts).map(({ json }) => json.data.jti)
  t.same(after.toSorted(), Array.from({ length: 20 }, (_, minute) => `jti-${minute}`).toSorted(), 'each once')
  t.same(notifier.reports, [])
})

t.test('treats a redirect as a failure, to another host or to an internal one', async t => {
  const [receiver, elsewhere] = [await startReceiver(t), await startReceiver(t)]
  let status = 0
  const headers = { location: elsewhere.url, refresh: `0; url=${elsewhere.url}` }
  receiver.answer(response => response.writeHead(status, headers).end())
  const notifier = startNotifier(t, [receiver.known()])
  for (status of [300, 301, 302, 303, 304, 305, 307, 308]) {
    const before = receiver.delivered.length
    notifier.observe(theft({ jti: `${status}` }))
    await notifier.pass(1)
    t.equal(receiver.delivered.length, before + 1, `${status}`)
    receiver.answer(response => response.writeHead(200, headers).end())
    await notifier.pass(10)
    t.equal(receiver.delivered.length, before + 2, 'the receiver itself is retried')
    receiver.answer(response => response.writeHead(status, headers).end())
  }
  t.equal(elsewhere.delivered.length, 0)
})

/** A receiver that speaks raw TLS. It counts the requests, and the octets that it has written. */
async function startRaw(t: Test, speak: (socket: TLSSocket, reset: () => void) => void) {
  const { certificate: cert, key } = receiverIdentity()
  const seen = { requests: 0, written: 0 }
  const server = createTlsServer({ cert, key }, socket => {
    socket.on('error', () => {})
    socket.once('data', () => {
      seen.requests++
      speak(socket, () => {
        for (const raw of sockets) raw.resetAndDestroy()
      })
    })
  })
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return { seen, url: `https://127.0.0.1:${port}/` }
}

/** Writes for as long as the peer reads. */
function flood(socket: TLSSocket, head: string, piece: string, seen: { written: number }) {
  socket.write(head)
  const go = () => {
    while (!socket.destroyed && socket.write(piece)) seen.written += piece.length
  }
  socket.on('drain', go)
  go()
}

t.test('abandons an endless or invalid response without reading it', async t => {
  const good = await startReceiver(t)
  const ok = 'HTTP/1.1 200 OK\r\n'
  const counts = { written: 0 }
  const answers: [string, (socket: TLSSocket, reset: () => void) => void, boolean][] = [
    ['a body without end', socket => flood(socket, `${ok}\r\n`, 'x'.repeat(65_536), counts), true],
    [
      'chunks without end',
      socket => flood(socket, `${ok}transfer-encoding: chunked\r\n\r\n`, '1\r\nx\r\n'.repeat(999), counts),
      true,
    ],
    ['a body that stops', socket => socket.write(`${ok}content-length: 100\r\n\r\nx`), true],
    ['a body that is cut', socket => socket.end(`${ok}content-length: 100\r\n\r\nx`), true],
    ['a head without end', socket => flood(socket, ok, `x: ${'x'.repeat(4096)}\r\n`, counts), false],
    [
      'interim answers without end',
      socket => flood(socket, '', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(99), counts),
      false,
    ],
    ['half a head', socket => socket.write(`${ok}content-le`), false],
    [
      'another protocol',
      socket => socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n`),
      false,
    ],
    ['no HTTP', socket => socket.write('SSH-2.0-OpenSSH_9.9\r\n\r\n'), false],
    ['two heads in one', socket => socket.write(`${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`), false],
    ['nothing, and the end', socket => socket.end(), false],
    ['a reset', (_socket, reset) => reset(), false],
  ]
  for (const [name, speak, isDone] of answers)
    await t.test(name, async t => {
      const { seen, url } = await startRaw(t, speak)
      const known = readKnown({ url, secret, allow_internal: true }, good.ca)
      const notifier = startNotifier(t, [known], { timeout: 2000 })
      notifier.observe(theft())
      await until(() => seen.requests === 1)
      const started = performance.now()
      await notifier.poll()
      const mayHang = /stops|half/.test(name)
      t.ok(mayHang || performance.now() - started < 1800, 'it is abandoned immediately')
      const left = await notifier.store.claimNotifications(known.key, {
        now: notifier.now + 10_000,
        until: notifier.now,
        limit: 9,
      })
      t.equal(left.length, isDone ? 0 : 1, isDone ? 'only its status counts' : 'it is retried')
      t.same(notifier.reports, [])
    })
  t.ok(counts.written < 50_000_000, `${counts.written} octets were sent and buffered`)
})

t.test('notifies no receiver without a valid certificate, whatever the environment contains', async t => {
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })
  const good = await startReceiver(t)
  const yesterday = new Date(Date.now() - 86_400_000)
  const identities: [string, Parameters<typeof receiverIdentity>[0], string | undefined][] = [
    ['one of another name', { altNames: [{ dns: 'other.example' }] }, good.ca],
    ['one of another address', { altNames: [{ ip: '127.0.0.2' }] }, good.ca],
    ['one that has expired', { notBefore: new Date(0), notAfter: yesterday }, good.ca],
    ['one of an unknown authority', { issuer: receiverIdentity({ ca: true }) }, good.ca],
    ['one of an authority that is not the list’s', {}, undefined],
  ]
  for (const [name, order, ca] of identities) {
    const receiver = await startReceiver(t, { identity: receiverIdentity(order) })
    const known = { ...receiver.known(), ca }
    const notifier = startNotifier(t, [known])
    notifier.observe(theft())
    await notifier.pass(1)
    await notifier.pass(10)
    const left = await notifier.store.claimNotifications(known.key, { now: notifier.now + 100_000, until: 0, limit: 9 })
    t.match(left, [{ attempts: 3 }], name)
    t.equal(receiver.delivered.length, 0, name)
  }
  const notifier = startNotifier(t, [good.known()])
  notifier.observe(theft())
  await until(() => good.delivered.length === 1)
})

t.test('refuses an internal address with an event, before there is a connection, unless it is allowed', async t => {
  const receiver = await startReceiver(t)
  let connections = 0
  const plain = createServer().on('connection', () => connections++)
  await new Promise<void>(listening => plain.listen(0, '127.0.0.1', listening))
  t.teardown(() => plain.close())
  const { port } = plain.address() as AddressInfo
  for (const host of ['127.0.0.1', 'localhost', '127.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '169.254.169.254']) {
    const url = `https://${host}:${port}/`
    // As if the list had accepted it: the list rejects internal addresses, but cannot know where a name resolves to.
    const known = { ...receiver.known({ url, allow_internal: true }), allowInternal: false }
    const notifier = startNotifier(t, [known])
    notifier.observe(theft())
    await until(() => notifier.reports.length > 0)
    const facts = { reason: 'receiver_internal', problem: 'InternalAddress', attempts: 1, receiver: new URL(url).host }
    t.match(notifier.reports, [{ ...facts, type: 'theft.suspected', client_id: 'alice' }], host)
    await notifier.pass(1)
    t.same(await notifier.store.findDueReceivers(Number.MAX_SAFE_INTEGER), [], 'it is not retried')
  }
  t.equal(connections, 0)
  const url = `https://localhost:${receiver.port}/`
  const notifier = startNotifier(t, [receiver.known({ url })])
  notifier.observe(theft())
  await until(() => receiver.delivered.length === 1)
})
