// A process in which each guarded callback of client, sidecar, notifier and outgoing connections throws in turn, during
// requests. It writes to stdout, in JSON, which ones threw, and the results of the requests. An exception that escapes the
// guards ends the process.
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createClient } from '../../../src/client/client.ts'
import { createNotifier } from '../../../src/notify/notifier.ts'
import { fetchJson } from '../../../src/outgoing/request.ts'
import { type Sidecar, startSidecar } from '../../../src/sidecar/sidecar.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { type FakeUpstream, json, startFakeUpstream } from '../client/fake-upstream.ts'
import { makeFolder } from '../client/sidecar.ts'
import type { Guards } from './throwing-guard.ts'
import { startReceiver } from './webhook-receiver.ts'

const { guards } = globalThis as unknown as { guards: Guards }
const ends: (() => unknown)[] = []
const scope = { teardown: (end: () => unknown) => void ends.push(end) }
const log: string[] = []

/** Answers in every way that a client has a listener for. */
async function startUpstream(http2: boolean): Promise<FakeUpstream> {
  let busy = 0
  const upstream = await startFakeUpstream(
    scope,
    (request, response, { path, cut }) => {
      request.resume()
      if (path === '/cut') cut()
      else if (path === '/busy' && busy++ % 2 === 0) json(response, 503, {})
      else if (path === '/goaway' && http2) request.stream.session?.goaway()
      else if (path === '/goaway') response.writeHead(200, { connection: 'close' }).end('going')
      else if (path === '/slow') setTimeout(() => response.end('slow'), 30)
      else if (path === '/never') response.write('half')
      else if (path === '/mute') request.resume()
      else if (path === '/large') response.end(Buffer.alloc(1_000_000))
      else if (path === '/refused') json(response, 401, { reason: 'certificate_untrusted' })
      else {
        if (http2) response.stream.additionalHeaders({ ':status': 103 })
        request.on('end', () => response.end('well'))
      }
    },
    { http2 },
  )
  return upstream
}

/** Sends requests of every kind through one client; each settles. */
async function useClient(upstream: FakeUpstream, http2: boolean): Promise<void> {
  const client = createClient({ ...upstream.target, http2, connections: 2, timeout: 2 })
  const send = async (path: string, init: object = {}) => {
    try {
      await (await client.fetch(path, { signal: AbortSignal.timeout(2000), ...init })).text()
    } catch {}
  }
  await Promise.all(['/', '/slow', '/busy'].map(path => send(path)))
  await send('/', { method: 'POST', body: Readable.from(['a', 'b']), duplex: 'half' })
  await send('/refused')
  await send('/cut', { method: 'POST', body: 'x' })
  await send('/goaway')
  await send('/never', { signal: AbortSignal.timeout(100) })
  await client.dispatcher.request({ path: '/never', method: 'GET', headersTimeout: 50, bodyTimeout: 50 }).then(
    ({ body }) => body.text().catch(() => {}),
    () => {},
  )
  await Promise.race([client.close(), new Promise(resolve => setTimeout(resolve, 1000))])
  await client.dispatcher.destroy()

  const away = createClient({ ...upstream.target, origin: 'https://localhost:1', timeout: 0.3 })
  await away.dispatcher.request({ path: '/', method: 'GET' }).catch(() => {})
  await away.dispatcher.destroy()
}

/** Sends requests of every kind through a sidecar; each settles. */
async function useSidecar({ address }: Sidecar): Promise<void> {
  const socketPath = address.slice('unix:'.length)
  const send = (path: string, options: object = {}, body?: string) =>
    new Promise<void>(resolve => {
      const request = httpRequest({ socketPath, path, headers: { host: 'any' }, agent: false, ...options }, answer => {
        answer.on('error', () => {}).on('close', resolve)
        if (path === '/large') setTimeout(() => answer.resume(), 50)
        else answer.resume()
      })
      request.on('error', () => resolve()).on('close', resolve)
      request.setTimeout(2000, () => request.destroy())
      request.end(body)
    })
  await Promise.all(['/', '/slow', '/large', '/_status', '/cut', '/mute'].map(path => send(path)))
  await send('/', { method: 'POST' }, 'a body')
  await send('/', { headers: { host: 'any', expect: 'something' } })
  for (const bytes of ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 'no request\r\n\r\n']) {
    const socket = connect(socketPath).on('error', () => {})
    socket.write(bytes)
    socket.resume()
    setTimeout(() => socket.destroy(), 200).unref()
    await once(socket, 'close')
  }
}

const upstreams = { h2: await startUpstream(true), h1: await startUpstream(false) }
const receiver = await startReceiver(scope)
const store = openSqlite(':memory:')
const entry = receiver.known({ events: ['theft.suspected'] })
const reports: unknown[] = []
const onError = ({ message }: Error) => log.push(message)
const notifier = createNotifier([entry], { store, clock: Date.now, report: facts => reports.push(facts), onError })

async function runAll(): Promise<void> {
  const folder = makeFolder(scope)
  const client = createClient({ ...upstreams.h2.target, timeout: 2 })
  const sidecar = await startSidecar({
    client,
    listen: { path: join(folder, 's') },
    timeout: 0.5,
    log: line => log.push(line),
  })
  await Promise.all([
    useClient(upstreams.h2, true),
    useClient(upstreams.h1, false),
    useSidecar(sidecar),
    fetchJson(new URL('/.well-known/oauth-authorization-server', upstreams.h1.origin), {
      ca: upstreams.h1.identity.ca,
    }).catch(() => {}),
  ])
  notifier.observe({ event: 'theft.suspected', time: new Date().toISOString() } as never)
  await notifier.poll()
  await new Promise(resolve => setTimeout(resolve, guards.called.size === 0 ? 1200 : 0)) // its timer, once
  await sidecar.close(0)
}

await runAll()
// All of them at once; then once more those that were not reached because another one threw before.
let left = new Set(guards.called)
for (let round = 0; round < 4 && left.size > 0; round++) {
  for (const place of left) guards.armed.add(place)
  await runAll()
  left = new Set(guards.armed)
  guards.armed.clear()
}
for (const place of left) {
  guards.armed.add(place)
  await runAll()
  if (guards.armed.delete(place)) continue
  left.delete(place)
}
await runAll()
const answer = createClient({ ...upstreams.h2.target, timeout: 10 })
const { status } = await answer.fetch('/')
await answer.close()
process.stdout.write(`${JSON.stringify({ places: [...guards.called].sort(), silent: [...left], status, log })}\n`)
await notifier.close()
await store.close()
for (const end of ends.reverse()) await end()
process.exit(0)
