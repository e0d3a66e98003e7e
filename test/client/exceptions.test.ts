// An unexpected exception in a timer, a stream or a listener fails only its request or connection. Each guarded place
// throws here; an unhandled exception would end the process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { createClient, type Identity } from '../../src/client/client.ts'
import { createNotifier } from '../../src/notify/notifier.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { startSidecar } from '../../src/sidecar/sidecar.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startFakeUpstream } from '../helpers/client/fake-upstream.ts'
import { ask, connectTo, makeFolder, startTestSidecar, startUpstream } from '../helpers/client/sidecar.ts'
import { basicEnvironment } from '../helpers/process/basic-environment.ts'
import { startReceiver } from '../helpers/server/webhook-receiver.ts'
import { until } from '../helpers/until.ts'

t.test(
  'an exception in any guarded place of client, sidecar, notifier and outgoing connections affects no other request',
  async t => {
    const child = spawn(
      process.execPath,
      [
        '--conditions=tlsbound-source',
        `--import=${resolve('test/helpers/server/throwing-guard.ts')}`,
        resolve('test/helpers/server/throw-everywhere.ts'),
      ],
      { env: basicEnvironment },
    )
    t.teardown(() => child.kill('SIGKILL'))
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', chunk => (output.stdout += chunk))
    child.stderr.on('data', chunk => (output.stderr += chunk))
    const [code, signal] = await once(child, 'close')
    t.equal(code ?? signal, 0, output.stderr)
    const { places, silent, status, log } = JSON.parse(output.stdout)
    // Which places are reached depends on timing, but some of each file always are.
    const thrown: string[] = places.filter((place: string) => !silent.includes(place))
    t.ok(thrown.length > 20, `${thrown.length} of ${places.length} places have thrown`)
    for (const file of [
      ...['client/request/acquire', 'client/request/attempt', 'client/request/timeout', 'client/request/pool'],
      ...['client/connection/http1', 'client/connection/http2', 'client/connection/http2-stream'],
      ...['sidecar/sidecar', 'relay/relay', 'notify/notifier', 'outgoing/connect'],
    ])
      t.ok(
        thrown.some(place => place.startsWith(`${file}.ts:`)),
        `${file} is among them`,
      )
    t.equal(status, 200)
    t.ok(log.length > 0 && log.every((line: string) => /thrown by the test/.test(line)), 'the sidecar logs them')
  },
)

const methods = ['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd', 'onResponseError'] as const

/** Gives the client a handler that throws in one of its methods. Resolves after the last event. */
function dispatch(
  dispatcher: Dispatcher,
  path: string,
  throwing: (typeof methods)[number],
): Promise<Error | undefined> {
  return new Promise(settled => {
    const handler: Record<string, (...given: unknown[]) => void> = {
      onResponseEnd: () => settled(undefined),
      onResponseError: (_controller, error) => settled(error as Error),
    }
    for (const method of methods) {
      const usual = handler[method] ?? (() => {})
      handler[method] = (...given) => {
        if (method === throwing) {
          if (method === 'onResponseEnd' || method === 'onResponseError') settled(undefined)
          throw new Error(`thrown in ${method}`)
        }
        usual(...given)
      }
    }
    dispatcher.dispatch({ path, method: 'GET' }, handler)
  })
}

for (const http2 of [true, false]) {
  const protocol = http2 ? 'HTTP/2' : 'HTTP/1.1'

  t.test(`an exception in a handler fails its own request, over ${protocol}`, async t => {
    const upstream = await startFakeUpstream(
      t,
      (_request, response, { path, cut }) => (path === '/cut' ? cut() : response.end('well')),
      { http2 },
    )
    const client = createClient({ ...upstream.target, http2, connections: 2, timeout: 5 })
    t.teardown(() => client.close())
    for (const method of methods)
      for (const path of ['/', '/cut']) {
        const other = client.fetch('/').then(answer => answer.text())
        const error = await dispatch(client.dispatcher, path, method)
        if (method === 'onRequestStart' || (path === '/' && /Start|Data/.test(method)))
          t.match(error, { message: `thrown in ${method}` }, `${method} ${path}`)
        await other.catch(() => {}) // its connection was cut
        t.equal(await (await client.fetch('/')).text(), 'well', `after ${method} ${path}`)
      }
  })

  t.test(`an exception in a body fails its own request, over ${protocol}`, async t => {
    const upstream = await startFakeUpstream(
      t,
      (request, response) => request.resume().on('end', () => response.end('well')),
      { http2 },
    )
    const client = createClient({ ...upstream.target, http2, timeout: 5 })
    t.teardown(() => client.close())
    const bodies = {
      'in a generator': () =>
        Readable.from(
          (async function* () {
            yield 'some'
            throw new Error('thrown in the body')
          })(),
        ),
      'in read': () =>
        new Readable({
          read() {
            throw new Error('thrown in the body')
          },
        }),
      'before anything': () => new Readable({ read() {} }).destroy(new Error('thrown in the body')),
    }
    for (const [name, build] of Object.entries(bodies)) {
      const sent = client.dispatcher.request({ path: '/', method: 'POST', body: build() })
      await t.rejects(sent, name)
      t.equal(await (await client.fetch('/')).text(), 'well', `the next request after an exception ${name}`)
    }
  })
}

t.test(
  'an identity source that throws, or returns a certificate without a name, leaves the previous identity in use',
  async t => {
    const upstream = await startFakeUpstream(t, (_request, response) => response.end('well'), { http2: true })
    upstream.issue = () => ({ lifetime: 0.05, binding: 'certificate' })
    let give: () => Identity = () => upstream.identity
    const client = createClient({ ...upstream.target, identity: () => give(), timeout: 3 })
    t.teardown(() => client.close())
    t.equal((await client.fetch('/')).status, 200)
    give = () => {
      throw new Error('thrown by the source')
    }
    for (let count = 0; count < 3; count++) t.equal((await client.fetch('/')).status, 200)
    t.match(client.state().lastProblem, { code: 'identity_unusable', message: /thrown by the source/ })
    const nameless = issueCertificate({ subject: [['O', 'nobody']], issuer: upstream.pki.ca })
    const identity = { certificate: nameless.certificate, key: nameless.key, ca: upstream.identity.ca }
    give = () => identity
    const problem = await client.fetch('/').catch(error => error)
    t.match(problem, { message: /set clientId/ }, 'the request fails with the reason')
  },
)

t.test('an exception in the client is a 502 of the sidecar and a log line', async t => {
  const log: string[] = []
  const throwing = () => {
    throw new Error('thrown by the client')
  }
  const client = { dispatcher: { dispatch: throwing } as unknown as Dispatcher, state: throwing, close: async () => {} }
  const listen = { path: join(makeFolder(t), 's.sock') }
  const sidecar = await startSidecar({ client, listen, log: line => log.push(line) })
  t.teardown(() => sidecar.close(0))
  for (const path of ['/', '/_status']) {
    const { status, body } = await ask(sidecar.address, path)
    t.match(
      { status, body },
      { status: 502, body: { error: 'upstream_failed', error_description: /Internal error of the sidecar/ } },
      path,
    )
  }
  t.equal(log.length, 2)
  t.match(log.join(), /unexpected error, closing its request or connection: Error: thrown by the client.*at /s)
})

t.test('a program that disconnects at any point ends only its connection', async t => {
  const upstream = await startUpstream(t, (request, response) => request.resume().on('end', () => response.end('well')))
  const { address } = await startTestSidecar(t, upstream)
  for (const bytes of [
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
    'no request\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome',
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50),
  ])
    for (let count = 0; count < 20; count++) {
      const socket = await connectTo(t, address)
      socket.write(bytes)
      if (count % 2 === 0) await new Promise(resolve => setImmediate(resolve))
      socket.destroy()
    }
  t.match(await ask(address, '/'), { status: 200, text: 'well' })
})

/** A notifier whose parts throw on demand. */
async function startNotifier(t: Test, broken: Record<string, unknown>) {
  const receiver = await startReceiver(t)
  const store = openSqlite(':memory:')
  t.teardown(() => store.close())
  const errors: string[] = []
  const isBroken = { now: true }
  const breakable = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, name) {
        const value = Reflect.get(of, name)
        const replacement = broken[String(name)]
        if (replacement !== undefined && isBroken.now) return replacement
        return typeof value === 'function' ? value.bind(of) : value
      },
    })
  const notifier = createNotifier([receiver.known({ events: ['theft.suspected'] })], {
    store: breakable(store),
    clock: () => (broken.clock !== undefined && isBroken.now ? (broken.clock as () => number)() : Date.now()),
    report: facts =>
      broken.report !== undefined && isBroken.now ? (broken.report as (facts: unknown) => void)(facts) : undefined,
    onError: ({ message }) => errors.push(message),
  })
  t.teardown(() => notifier.close())
  return { receiver, notifier, errors, isBroken }
}

t.test('a notifier whose store, clock or report throws logs the error and recovers', async t => {
  const throwing = () => {
    throw new Error('thrown by a part')
  }
  const event = { event: 'theft.suspected', time: new Date().toISOString() } as never
  for (const [name, broken] of Object.entries({
    'a look-up that throws': { findDueReceivers: throwing },
    'a look-up that rejects': { findDueReceivers: async () => throwing() },
    'a claim that throws': { claimNotifications: throwing },
    'a removal that throws': { removeNotification: throwing },
    'a clock that throws': { clock: throwing, report: () => {} },
  })) {
    const { receiver, notifier, errors, isBroken } = await startNotifier(t, broken)
    notifier.observe(event)
    await notifier.poll()
    await until(() => errors.length > 0)
    t.same([...new Set(errors)], ['thrown by a part'], `${name}: logged once`)
    isBroken.now = false
    notifier.observe({ ...(event as object), client_id: name } as never)
    await notifier.poll()
    await until(() => receiver.delivered.length > 0)
    t.pass(`${name}: later events are delivered`)
  }
})
