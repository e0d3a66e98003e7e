// `tlsbound sidecar` as a process: its options, its signals, its memory. GW04, HT21, RE02.
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { command } from '../../src/cli/sidecar.ts'
import { makeDemoFolder } from '../helpers/client/client-command.ts'
import { startServerBehindRelay } from '../helpers/client/relay.ts'
import { ask, connectTo, open } from '../helpers/client/sidecar.ts'
import { startSidecarCommand } from '../helpers/client/sidecar-command.ts'
import { runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000) // processes, each slow to start on a busy machine
const megabyte = Buffer.alloc(1_048_576, 'x')
const hundred = 100

/** A source and a sink of 100 MiB, and an endless response. */
const routes = (app: FastifyInstance) => {
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.get('/source', () => Readable.from(Array<Buffer>(hundred).fill(megabyte)))
  app.put('/sink', async ({ body }) => {
    let received = 0
    for await (const chunk of body as Readable) received += chunk.length
    return { received }
  })
  app.get('/endless', (_request, reply) => void reply.hijack().raw.write('half'))
}
const { server, origin } = await startServerBehindRelay(t, { routes })
const folder = makeDemoFolder(t, server.pki)
/** Converts the address of a sidecar to one for this process. */
const inside = (address: string) => address.replace('unix:', `unix:${folder}/`)

const first = await startSidecarCommand(t, folder, ['--upstream', origin, '--listen', 'unix:first.sock'])
// Both runs are slow, so they start first and are awaited last.
const slowHead = sendSlowHead(inside(first.address))
const farewell = sayFarewell()

t.test('prints its address as text or JSON, and reads its options from the environment', async t => {
  const sidecar = await startSidecarCommand(t, folder, ['--upstream', origin])
  t.equal(sidecar.address, 'unix:run/tlsbound.sock')
  t.match(sidecar.stderr(), /certs\/alice\.key of the demo/)
  t.equal(statSync(join(folder, 'run/tlsbound.sock')).mode & 0o777, 0o600)
  t.equal(statSync(join(folder, 'run')).mode & 0o777, 0o700)
  t.match(await ask(inside(sidecar.address), '/api/whoami'), { status: 200, body: { token_binding: 'connection' } })
  t.match((await ask(inside(sidecar.address), '/_status')).body, { client: { connections: [{ protocol: 'h2' }] } })
  t.match(await sidecar.end('SIGTERM'), { code: 0 })
  t.notOk(existsSync(join(folder, 'run/tlsbound.sock')))

  const env = {
    TLSBOUND_UPSTREAM: origin,
    TLSBOUND_LISTEN: 'unix:b.sock',
    TLSBOUND_SOCKET_MODE: '0660',
    TLSBOUND_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CERT_FILE: 'certs/alice.crt',
    TLSBOUND_KEY_FILE: 'certs/alice.key',
    TLSBOUND_CLIENT_ID: 'alice',
    TLSBOUND_SCOPE: 'notes:read',
    TLSBOUND_BINDING: 'certificate',
    TLSBOUND_AUTHORIZATION: 'refuse',
    TLSBOUND_UPSTREAM_HTTP: '1.1',
  }
  const second = await startSidecarCommand(t, folder, ['--json'], env)
  t.same(JSON.parse(second.address), { listen: 'unix:b.sock', upstream: origin })
  t.equal(statSync(join(folder, 'b.sock')).mode & 0o777, 0o660)
  const whoami = await ask(`unix:${folder}/b.sock`, '/api/whoami')
  t.match(whoami, { status: 200, body: { scope: 'notes:read', token_binding: 'certificate' } })
  const status = await ask(`unix:${folder}/b.sock`, '/_status')
  t.match(status.body, { client: { connections: [{ protocol: 'http/1.1' }] } })
  t.match(await ask(`unix:${folder}/b.sock`, '/', { headers: { authorization: 'x' } }), { status: 400 })
  t.match(await second.end('SIGINT'), { code: 0 })
})

t.test('exits with 2 for wrong usage, and with 1 for other errors', async t => {
  const files = {
    ca: join(folder, 'certs/ca.crt'),
    cert: join(folder, 'certs/alice.crt'),
    key: join(folder, 'certs/alice.key'),
  }
  const good = { upstream: origin, ...files }
  for (const [values, words] of [
    [files, /--upstream \(TLSBOUND_UPSTREAM\) is missing/],
    [{ ...good, upstream: 'http://localhost' }, /--upstream must be an https address/],
    [{ ...good, upstream: `${origin}/api` }, /without a path/],
    [{ ...good, listen: '65536' }, /unix:PATH or a port/],
    [{ ...good, listen: '/run/a.sock' }, /unix:PATH or a port/],
    [{ ...good, 'socket-mode': '0666' }, /0600 or 0660/],
    [{ ...good, authorization: 'keep' }, /remove, refuse/],
    [{ ...good, timeout: '0' }, /seconds from 1/],
    [{ ...good, http: '3' }, /2, 1\.1/],
    [{ ...good, binding: 'none' }, /connection, proof, certificate/],
    [{ upstream: origin, cert: files.cert }, /TLSBOUND_CA_FILE.*TLSBOUND_KEY_FILE/],
  ] as const)
    await t.rejects(Promise.resolve(command.run(values, [])), { constructor: UsageError, message: words })

  const [usage, failure] = await Promise.all([
    runTlsbound(['sidecar', '--upstream', 'no address'], folder),
    runTlsbound(['sidecar', '--upstream', origin, '--listen', 'unix:certs/ca.crt'], folder),
  ])
  t.match(usage, { code: 2, stdout: '', stderr: /--upstream must be/ })
  t.match(failure, { code: 1, stdout: '', stderr: /certs\/ca\.crt: .*not a socket\n$/ })
})

t.test('its memory stays flat for 100 MiB in each direction (GW04)', async t => {
  const sidecar = await startSidecarCommand(t, folder, ['--upstream', origin])
  const address = inside(sidecar.address)
  await ask(address, '/api/whoami')
  const before = peakOf(sidecar.pid)
  let received = 0
  for await (const chunk of await open(address, '/source')) received += chunk.length
  t.equal(received, hundred * megabyte.length)
  const body = Readable.from(Array<Buffer>(hundred).fill(megabyte))
  const headers = { 'content-type': 'application/octet-stream' }
  t.match((await ask(address, '/sink', { method: 'PUT', headers, body })).body, { received: hundred * megabyte.length })
  const grown = peakOf(sidecar.pid) - before
  t.ok(grown < 80 * megabyte.length, `its peak grew by ${grown} octets`)
})

t.test('answers an incomplete head with 408 and closes the connection (HT21)', async t => {
  const { answer, seconds } = await slowHead
  t.match(answer, /^HTTP\/1\.1 408 /)
  t.ok(seconds > 5, `slow clients have time: ${seconds} s`)
})

t.test('after SIGTERM it waits some seconds for responses, cuts endless ones, and exits with 0 (RE02)', async t => {
  const { error, ended } = await farewell
  t.match(error, { code: 'ECONNRESET' })
  t.match(ended, { code: 0, stderr: /SIGTERM/ })
  t.notMatch(ended.stderr, /Warning|eyJ/)
})

/** Requests an endless response, sends SIGTERM in the middle of it, and waits for both to end. */
async function sayFarewell() {
  const sidecar = await startSidecarCommand(t, folder, ['--upstream', origin, '--listen', 'unix:last.sock'])
  const answer = await open(inside(sidecar.address), '/endless')
  await once(answer, 'data')
  const [[error], ended] = await Promise.all([once(answer, 'error'), sidecar.end('SIGTERM')])
  return { error, ended }
}

/** Starts a request and never completes it. */
async function sendSlowHead(address: string): Promise<{ answer: string; seconds: number }> {
  const socket = await connectTo(t, address)
  const start = performance.now()
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  const [answer] = await once(socket, 'data')
  await once(socket, 'close')
  return { answer: String(answer), seconds: (performance.now() - start) / 1000 }
}

/** The peak memory of a process in octets. */
function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}
