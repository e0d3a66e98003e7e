// An unhandled error ends its request or connection with an error in the log, and nothing else. In each callback of the
// event loop, a part of the server throws, and all other clients are served. An exception that escapes from a listener or a
// timer would end this process, and with it the test.
import { readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { mock } from 'node:test'
import t from 'tap'
import { openEvents } from '../../src/audit/open.ts'
import { guardedWithLog, logError } from '../../src/core/guard.ts'
import type { KeyRing } from '../../src/keys/key-ring.ts'
import { ensureKeysFile, watchKeysFile } from '../../src/process/signing-keys.ts'
import { type FaultyServer, type Part, secret, startFaultyServer } from '../helpers/client/faulty-server.ts'
import { openStream } from '../helpers/server/live.ts'
import { callOps } from '../helpers/server/ops.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { buildFrame, type Frame, frameTypes, openRawHttp2 } from '../helpers/server/raw-http2.ts'
import { register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

const clients = [
  register('alice', { theft_response: 'revoke_token' }),
  register('bob', { access_token_format: 'opaque' }),
]
const fault = { status: 500, body: { error: 'server_error', error_description: 'Internal server error.' } }

for (const protocol of ['http/1.1', 'h2'])
  t.test(`${protocol}: answers 500 when a part of the server throws, and continues to serve`, async t => {
    const server = await startFaultyServer(t, clients)
    const [alice, bob] = [
      await server.connect('alice', { ALPNProtocols: [protocol] }),
      await server.connect('bob', { ALPNProtocols: [protocol] }),
    ]
    const token = await alice.token({ token_binding: 'certificate' })
    const opaque = await bob.token()
    const cases: [Part, () => Promise<object>][] = [
      ['clock', () => alice.get('/api/whoami', token)],
      ['clock', () => alice.requestToken()],
      ['keys', async () => (await server.connect('alice', { ALPNProtocols: [protocol] })).get('/api/whoami', token)],
      ['clients', () => alice.requestToken()],
      ['store', () => alice.requestToken()],
      ['late store', () => alice.requestToken()],
      [
        'late store',
        async () => (await server.connect('bob', { ALPNProtocols: [protocol] })).get('/api/whoami', opaque),
      ],
      ['audit', () => alice.get('/api/whoami', 'x')],
      ['audit', () => alice.requestToken({ grant_type: 'x' })],
      ['audit', () => alice.get('/nowhere')],
    ]
    for (const [part, request] of cases) {
      const before = server.errors.length
      server.fail(part)
      const answer = await request()
      t.match(answer, fault, part)
      t.notMatch(JSON.stringify(answer), secret, 'the client learns nothing of it')
      t.ok(
        server.errors.slice(before).some(({ err }) => String(err).includes(secret)),
        'the log has it',
      )
      server.fail(part, 'log')
      t.match(await request(), fault, `${part}, while the log throws too`)
      server.fail()
      t.match(await alice.get('/api/whoami', token), { status: 200 }, 'afterwards')
      t.match(await bob.get('/api/whoami', opaque), { status: 200 }, 'another connection')
    }
  })

t.test('answers 500 when the refusal of a request cannot be recorded', async t => {
  const server = await startFaultyServer(t, clients)
  const bob = await server.connect('bob')
  const opaque = await bob.token()
  const alice = await server.connect('alice')
  server.fail('audit')
  t.match(await alice.get('/api/whoami', opaque), fault)
  server.fail()
  t.match(await alice.get('/api/whoami', opaque), { status: 401 }, 'control')
})

t.test('notifies all observers when one throws, and sends the response unchanged', async t => {
  const server = await startFaultyServer(t, clients)
  const alice = await server.connect('alice')
  server.fail('observer')
  const before = server.observed.length
  const issued = await alice.requestToken({ token_binding: 'certificate' })
  t.match(issued, { status: 200 })
  t.match(await alice.get('/api/whoami', 'x'), { status: 401, body: { reason: 'bad_signature' } })
  t.match(server.observed.slice(before), [{ event: 'token.issued' }, { event: 'token.refused' }])
  t.equal(server.errors.filter(({ message }) => message === 'unhandled error in an event observer').length, 2)
  server.fail('observer', 'log')
  t.match(await alice.requestToken(), { status: 200 }, 'while the log throws too')
})

t.test('closes only the connection of a client whose check after the handshake throws', async t => {
  const server = await startFaultyServer(t, clients)
  const alice = await server.connect('alice')
  server.fail('pins')
  const stranger = await server.connect('stranger')
  await until(() => !stranger.isOpen())
  await server.logged(/^an unexpected exception has ended a connection$/)
  t.match(await alice.requestToken(), { status: 200 })
  server.fail()
  t.match(await (await server.connect('stranger')).get('/binding'), { status: 200 }, 'control')
})

t.test('closes a connection that it drops even if recording that throws', async t => {
  const server = await startFaultyServer(t, clients, { isDropping: true })
  server.fail('drop')
  const stranger = await server.connect('stranger')
  await until(() => !stranger.isOpen())
  await server.logged(/^an unexpected exception has ended a connection$/)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('closes a failed handshake or a flooding connection even if it cannot be logged', async t => {
  const server = await startFaultyServer(t, clients)
  const closed = (socket: Socket) =>
    new Promise(resolve =>
      socket
        .on('error', () => {})
        .once('close', resolve)
        .resume(),
    )
  server.fail('warning')
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 0])]) {
    const before = server.errors.length
    const socket = connect(server.port, '127.0.0.1')
    socket.end(bytes)
    await closed(socket)
    await until(() => server.errors.length > before)
  }
  server.fail('drop')
  const before = server.errors.length
  const { alice, ca } = server.pki
  const identity = { cert: alice.certificate, key: alice.key, ca: ca.certificate }
  const peer = await openRawHttp2({ host: '127.0.0.1', port: server.port, servername: 'localhost', ...identity })
  // In rounds, because Node itself closes a connection with too many pending acknowledgements.
  for (let round = 0; round < 10 && peer.goaway() === undefined; round++) {
    const isLast = (frame: Frame) => frame.type === frameTypes.ping && frame.payload[0] === round
    peer.send(...Array(64).fill(buildFrame(frameTypes.ping, 0, 0, Buffer.alloc(8, round))))
    await peer.next(frame => isLast(frame) || frame.type === frameTypes.goaway)
  }
  await peer.closed()
  await until(() => server.errors.length > before)
  t.same([...new Set(server.errors.map(({ message }) => message))], ['an unexpected exception has ended a connection'])
  server.fail()
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('closes the connection of invalid bytes even if their refusal throws', async t => {
  const server = await startFaultyServer(t, clients)
  for (const bytes of ['nonsense\r\n\r\n', 'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n']) {
    const before = server.errors.length
    server.fail('connection event')
    const { answers } = await exchange(await server.connect('alice'), bytes, { until: 'closed' })
    t.same(answers, [])
    await until(() => server.errors.length > before)
    t.equal(server.errors[before]?.message, 'unhandled error while refusing bytes')
    server.fail()
    const control = await exchange(await server.connect('alice'), bytes, { until: 'closed' })
    t.match(control.answers, [{ status: 400 }], 'control')
  }
})

t.test('closes the connection of an unroutable request even if its refusal throws', async t => {
  const server = await startFaultyServer(t, clients)
  const bytes = requestText('GET /%', [])
  server.fail('audit')
  await exchange(await server.connect('alice'), bytes, { until: 'closed' })
  await server.logged(/./)
  server.fail()
  const control = await exchange(await server.connect('alice'), bytes, { until: 1 })
  t.match(control.answers, [{ status: 400 }], 'control')
})

t.test('closes the connections of a disabled client even if a part throws', async t => {
  const server = await startFaultyServer(t, clients)
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  await alice.token()
  await bob.token()
  server.fail('connection event')
  await server.store.disableClient('alice', JSON.stringify(clients[0]))
  await until(() => !alice.isOpen())
  await server.logged(/^unhandled error while closing connections$/)
  server.fail('enabled')
  const before = server.errors.length
  await server.store.disableClient('bob', JSON.stringify(clients[1]))
  await until(() => server.errors.length > before)
  server.fail()
  t.match(await bob.get('/binding'), { status: 200 })
})

t.test('refuses all requests while a change of the state cannot be applied, and accepts them afterwards', async t => {
  const server = await startFaultyServer(t, clients)
  const alice = await server.connect('alice')
  const token = await alice.token({ token_binding: 'certificate' })
  server.fail('apply')
  await server.store.putSecret('bob', 'one', 'hash')
  t.match(await alice.get('/api/whoami', token), { status: 503, body: { reason: 'store_unavailable' } })
  t.match(await alice.requestToken(), { status: 503 })
  await server.logged(/^unhandled error: a change of the state cannot be applied$/)
  server.fail()
  let status = 0
  while (status !== 200) ({ status } = await alice.get('/api/whoami', token))
  t.equal(server.errors.filter(({ message }) => /change of the state/.test(message)).length, 1, 'it is logged once')
})

t.test('continues its regular work after an exception in it', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const server = await startFaultyServer(t, clients)
  for (const part of ['clock', 'store'] as const) {
    server.fail(part)
    mock.timers.tick(10_000)
    await new Promise(setImmediate)
  }
  const works = ['looking for signing keys for PASETO', 'removing expired records']
  t.same(
    server.errors.map(({ message }) => message).sort(),
    works.map(work => `unhandled error while ${work}`),
  )
  server.fail()
  mock.timers.tick(10_000)
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('refuses a theft and raises the alarm even if the store and the log throw', async t => {
  const server = await startFaultyServer(t, clients)
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  const token = await alice.token({ token_binding: 'connection' })
  server.fail('store', 'log')
  t.match(await bob.get('/api/whoami', token), { status: 401 })
  t.ok(server.observed.some(({ event }) => event === 'theft.suspected'))
  await new Promise(resolve => setTimeout(resolve, 50))
  server.fail()
  t.match(await alice.requestToken(), { status: 200 })
})

t.test('ends only the request of a stream that fails', async t => {
  const server = await startFaultyServer(t, clients, {
    routes(app) {
      app.get('/stream', (_request, reply) =>
        reply.send(
          Readable.from(
            (async function* () {
              yield 'begin'
              throw new Error(secret)
            })(),
          ),
        ),
      )
      app.get('/late', async () => {
        await new Promise(setImmediate)
        throw new Error(secret)
      })
      app.get('/json', async () => ({
        toJSON() {
          throw new Error(secret)
        },
      }))
    },
  })
  for (const protocol of ['http/1.1', 'h2']) {
    const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
    const token = await alice.token({ token_binding: 'certificate' })
    await t.rejects(alice.get('/stream', token), `${protocol}: the response is cut off`)
    const again = await server.connect('alice', { ALPNProtocols: [protocol] })
    for (const path of ['/late', '/json']) t.match(await again.get(path, token), fault, `${protocol} ${path}`)
    t.match(await again.get('/api/whoami', token), { status: 200 })
  }
})

const ask = (server: FaultyServer, method: string, path: string, options = {}) =>
  callOps(server as unknown as Parameters<typeof callOps>[0], method, path, options)

t.test('the ops listener: ends only the request during which a part throws', async t => {
  const server = await startFaultyServer(t, clients)
  const cases: [Part, string, string][] = [
    ['store', 'PUT', '/admin/clients/carol'],
    ['late store', 'PUT', '/admin/clients/carol'],
    ['clients', 'GET', '/admin/clients/alice'],
    ['ops audit', 'GET', '/nowhere'],
    ['ops audit', 'GET', '/%'],
    ['collect', 'GET', '/ready'],
    ['collect', 'GET', '/metrics'],
    ['connections', 'GET', '/live'],
    ['plays', 'POST', '/live/thefts'],
  ]
  for (const [part, method, path] of cases)
    for (const also of [[], ['log']] as const) {
      const before = server.errors.length
      server.fail(part, ...also)
      const options = method === 'PUT' ? { body: register('carol') } : {}
      const answer = await ask(server, method, path, options).catch(() => ({ status: 0 }))
      t.ok(answer.status === 500 || answer.status === 0, `${part}: ${method} ${path}: ${answer.status}`)
      t.notMatch(JSON.stringify(answer), secret)
      if (also.length === 0) t.ok(server.errors.length > before, 'the error is logged')
      server.fail()
      t.match(await ask(server, 'GET', '/ready'), { status: 200 }, 'afterwards')
    }
  t.match(await ask(server, 'POST', '/live/thefts'), { status: 200, text: '{"play":1}\n' }, 'the thefts can run again')
  server.fail('later plays')
  t.match(await ask(server, 'POST', '/live/thefts'), { status: 200, text: /The thefts ended early/ })
  server.fail('log child')
  await t.rejects(ask(server, 'GET', '/ready'), 'the connection is closed before there is a reply')
  server.fail()
  t.match(await ask(server, 'GET', '/ready'), { status: 200 })
})

t.test('the ops listener: closes the connection of invalid bytes even if their refusal throws', async t => {
  const server = await startFaultyServer(t, clients)
  server.fail('connection event')
  const { port } = new URL(server.ops.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => {}).write('nonsense\r\n\r\n')
  await new Promise(resolve => socket.resume().once('close', resolve))
  await server.logged(/^unhandled error while refusing bytes$/)
  server.fail()
  t.match(await ask(server, 'GET', '/ready'), { status: 200 })
})

t.test('the live page: closes its streams when an update throws, and accepts new ones', async t => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const server = await startFaultyServer(t, clients)
  const stream = await openStream(server)
  await stream.next()
  server.fail('connections')
  mock.timers.tick(1000)
  await t.rejects(stream.rest(), 'the stream ends')
  t.equal(server.errors.at(-1)?.message, 'unhandled error on the live page')
  server.fail()
  const again = await openStream(server)
  t.match(await again.next(), { connections: Array })
  again.close()
})

t.test('passes parameters to a guarded callback, which neither throws nor rejects', async t => {
  const logged: unknown[] = []
  const log = { error: (facts: object, message: string) => void logged.push([message, facts]) }
  const error = new Error('x')
  const ended: unknown[] = []
  const end = (...given: unknown[]) => void ended.push(given)
  const add = guardedWithLog(log, 'failed', (one: number, other: number) => void ended.push(one + other), end)
  add(1, 2)
  t.same(ended.splice(0), [3], 'control')
  const failing = [
    guardedWithLog(
      log,
      'failed',
      (_: string) => {
        throw error
      },
      end,
    ),
    guardedWithLog(
      log,
      'failed',
      async (_: string) => {
        throw error
      },
      end,
    ),
  ]
  for (const callback of failing) callback('parameter')
  await new Promise(setImmediate)
  t.same(logged.splice(0), Array(2).fill(['failed', { err: error }]))
  t.same(ended.splice(0), Array(2).fill(['parameter']))
  const broken = {
    error() {
      throw error
    },
  }
  logError(broken, error, 'a log that throws causes no second exception')
})

t.test('reports events that cannot be written even if the listener throws', t => {
  const path = join(t.testdir(), 'events')
  symlinkSync('/dev/full', path)
  const events = openEvents({ auditFile: path, auditFormat: 'plain' }, () => {
    throw new Error(secret)
  })
  t.teardown(() => events.close())
  const event = { time: '', event: 'token.issued', outcome: 'success' } as const
  t.throws(() => events.record(event), { code: 'ENOSPC' })
  t.equal(events.isRecording(), false)
  rmSync(path)
  events.followRename()
  events.record(event)
  t.equal(events.isRecording(), true)
  t.end()
})

t.test('checks the signing keys file again after a check that throws', async t => {
  const path = join(t.testdir(), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const problems: string[] = []
  let isFailing = true
  const replaced: unknown[] = []
  const { poll } = watchKeysFile(
    path,
    { all: [], replace: (...keys: unknown[]) => void replaced.push(keys) } as unknown as KeyRing,
    {
      clock() {
        if (isFailing) throw new Error('the clock')
        return Date.now()
      },
      maximumAge: undefined,
      algorithm: 'ES256',
      report: problem => void problems.push(problem),
      onChange() {},
    },
  )
  await poll()
  t.same(problems, ['the signing keys stay as they are: the clock'])
  isFailing = false
  await poll()
  t.equal(replaced.length, 1)
})

t.test('ends the process after an uncaught exception', t => {
  for (const path of readdirSync('src', { recursive: true, encoding: 'utf8' }))
    if (/\.[jt]s$/.test(path))
      t.notMatch(readFileSync(join('src', path), 'utf8'), /uncaughtException|unhandledRejection/, path)
  t.end()
})
