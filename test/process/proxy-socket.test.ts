// TLSBOUND_PROXY_SOCKET: a proxy on the same machine that ends TLS connects by a socket file. Who may open it, what it can do there, and
// what a server does with the file.

import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { type IncomingMessage, request as sendRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { readCertificate } from '../../src/core/presenter.ts'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { checkSocketFolder, prepareSocket } from '../../src/process/proxy-socket.ts'
import { type RunningServer, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)

const env = { TLSBOUND_CLIENT_CERT_FROM: 'proxies.json', TLSBOUND_PROXY_SOCKET: 'run/proxy.sock' }
const entry = { form: 'client-cert', socket: true }

function prepare(t: Test, entries: readonly object[] = [{ ...entry, authz: true }]): string {
  // The path of a socket is short, and that of t.testdir() is not.
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeDemoPki(join(folder, 'certs'))
  mkdirSync(join(folder, 'run'), { mode: 0o750 })
  writeFileSync(join(folder, 'proxies.json'), JSON.stringify(entries))
  return folder
}

const x509 = (folder: string, name: string) => new X509Certificate(readFileSync(join(folder, `certs/${name}.crt`)))

/** Sends requests as the proxy does. */
function openSocket(folder: string) {
  const socketPath = join(folder, 'run/proxy.sock')
  return async (path: string, { who, headers = {}, method = 'GET', body }: Options = {}) => {
    const stated = who === undefined ? {} : { 'client-cert': `:${x509(folder, who).raw.toString('base64')}:` }
    const sent = sendRequest({ socketPath, path, method, headers: { host: 'localhost', ...stated, ...headers } })
    sent.end(body)
    const answer = await new Promise<IncomingMessage>((done, fail) => sent.once('response', done).once('error', fail))
    const content = await text(answer)
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: content === '' ? undefined : JSON.parse(content),
    }
  }
}

interface Options {
  readonly who?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  readonly body?: string
}

function requestToken(call: ReturnType<typeof openSocket>, who: string, form: Readonly<Record<string, string>> = {}) {
  const body = new URLSearchParams({
    ...{ grant_type: 'client_credentials', client_id: who, token_binding: 'certificate' },
    ...form,
  }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return call('/oauth/token', { who, method: 'POST', headers, body })
}

const eventsOf = (server: RunningServer) =>
  server
    .stdout()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))

for (const workers of ['1', '2'])
  t.test(`serves the clients of a proxy at the socket, with ${workers} process(es) for requests`, async t => {
    const folder = prepare(t)
    const server = await startTlsbound(t, folder, { ...env, TLSBOUND_WORKERS: workers })
    const file = join(folder, 'run/proxy.sock')
    await until(() => (statSync(file).mode & 0o777) === 0o660)
    const call = openSocket(folder)
    const { status, body } = await requestToken(call, 'alice')
    t.equal(status, 200)
    const headers = { authorization: `Bearer ${body.access_token}` }
    const whoami = await call('/api/whoami', { who: 'alice', headers })
    t.match(whoami, { status: 200, body: { client_id: 'alice', token_binding: 'certificate' } })
    const direct = await server.connect('alice')
    t.match(await direct.get('/api/whoami', body.access_token), { status: 200 }, 'on a connection of its own too')
    const asked = await call('/authz', { who: 'alice', headers })
    t.equal(asked.status, 204)
    t.type(asked.headers['tlsbound-assertion'], 'string')
    t.match(await call('/binding', { who: 'bob' }), {
      status: 200,
      body: { protocol: null, attested: 'proxy', bindings: {}, token_bindings: ['certificate'] },
    })

    t.match(await call('/api/whoami', { who: 'bob', headers }), {
      status: 401,
      body: { reason: 'certificate_mismatch' },
    })
    t.match(await call('/api/whoami', { headers }), { status: 401, body: { reason: 'no_certificate' } })
    t.match(await call('/api/whoami', { headers: { ...headers, 'client-cert': ':AAAA:' } }), {
      status: 401,
      body: { reason: 'certificate_untrusted' },
    })
    for (const level of ['connection', 'proof'])
      t.match(await requestToken(call, 'alice', { token_binding: level }), {
        status: 400,
        body: { reason: 'binding_unavailable' },
      })
    const refused = eventsOf(server).findLast(({ reason }) => reason === 'certificate_mismatch')
    t.match(refused, { attested: 'proxy', 'x5t#S256': readCertificate(x509(folder, 'bob')).thumbprint })
    t.notOk('peer' in refused || 'tls' in refused)

    const broken = connect(file)
    broken.write('GET / HTTP/1.1\r\nno field\r\n\r\n')
    t.match(await text(broken), /^HTTP\/1.1 400 /)
    t.equal((await server.end('SIGTERM')).code, 0)
    t.notOk(existsSync(file))
  })

t.test('takes the place of a server that was killed, and of no other', async t => {
  const folder = prepare(t)
  const first = await startTlsbound(t, folder, env)
  const second = await runTlsbound(['serve'], folder, { ...env, TLSBOUND_PORT: '0', TLSBOUND_DATA_DIR: 'other' }).catch(
    error => error,
  )
  t.not(second.code, 0)
  const other = await runTlsbound(['serve'], folder, {
    ...env,
    TLSBOUND_PORT: String(first.port + 1),
    TLSBOUND_DATA_DIR: 'other',
  })
  t.not(other.code, 0)
  t.match(other.stderr, /run\/proxy\.sock: another server listens on this socket/)
  await first.end('SIGKILL')
  t.ok(existsSync(join(folder, 'run/proxy.sock')), 'control')
  const again = await startTlsbound(t, folder, env)
  t.equal((await requestToken(openSocket(folder), 'alice')).status, 200)
  t.equal((await again.end('SIGTERM')).code, 0)
  writeFileSync(join(folder, 'run/proxy.sock'), 'x')
  t.match((await runTlsbound(['serve'], folder, env)).stderr, /this is no socket/)
})

t.test('does not take the place of a server that is too busy to accept a connection', async t => {
  const folder = prepare(t)
  const file = join(folder, 'run/proxy.sock')
  const program = `require('net').createServer().listen({ path: ${JSON.stringify(file)}, backlog: 1 }, () => console.log())`
  const busy = spawn(process.execPath, ['-e', program])
  t.teardown(() => busy.kill('SIGKILL'))
  await once(busy.stdout, 'data')
  busy.kill('SIGSTOP')
  const connectOnce = () =>
    new Promise<string>(done => {
      const socket = connect(file, () => done('connected')).on('error', ({ code }: NodeJS.ErrnoException) =>
        done(code ?? ''),
      )
      t.teardown(() => socket.destroy())
    })
  while ((await connectOnce()) === 'connected');
  t.equal(await connectOnce(), 'EAGAIN', 'control')
  await t.rejects(prepareSocket(file), { message: /another server listens on this socket/ })
  t.ok(existsSync(file))
  busy.kill('SIGKILL')
  await once(busy, 'exit')
  await prepareSocket(file)
  t.notOk(existsSync(file), 'that of a server that has ended')
})

t.test('refuses a folder that others can use, and a list that does not fit, and the doctor names both', async t => {
  const folder = prepare(t)
  const refused = async (pattern: RegExp, more = {}) => {
    for (const command of ['serve', 'doctor']) {
      const { code, stdout, stderr } = await runTlsbound([command], folder, { ...env, ...more })
      t.not(code, 0)
      t.match(stdout + stderr, pattern, command)
    }
  }
  for (const mode of [0o755, 0o770, 0o751, 0o1777]) {
    chmodSync(join(folder, 'run'), mode)
    await refused(/its mode \d+ lets others open or replace the socket/)
  }
  chmodSync(join(folder, 'run'), 0o2750)
  await refused(/there is no such folder/, { TLSBOUND_PROXY_SOCKET: 'missing/proxy.sock' })
  await refused(/at most 107 octets/, { TLSBOUND_PROXY_SOCKET: `run/${'x'.repeat(108)}` })
  await refused(/TLSBOUND_PROXY_SOCKET\) is not set/, { TLSBOUND_PROXY_SOCKET: '' })
  await refused(/no proxy of clientCertFrom .* has "socket": true/, { TLSBOUND_CLIENT_CERT_FROM: '' })
  const server = await startTlsbound(t, folder, env)
  const { stdout } = await runTlsbound(['doctor'], folder, env)
  t.match(stdout, /a proxy with the socket run\/proxy\.sock states its clients in client-cert/)
  const reload = async (entries: readonly object[], pattern: RegExp) => {
    const since = server.stderr().length
    writeFileSync(join(folder, 'proxies.json'), JSON.stringify(entries))
    server.child.kill('SIGHUP')
    await server.seen(pattern, since)
  }
  await reload([], /stay as they were: proxySocket .* is set, but no proxy/)
  await reload([entry, entry], /stay as they were: .*two proxies have/)
  const call = openSocket(folder)
  const { body } = await requestToken(call, 'alice')
  const headers = { authorization: `Bearer ${body.access_token}` }
  t.equal((await call('/authz', { who: 'alice', headers })).status, 204, 'the old list is in use')
  await reload([entry], /lists were loaded again/)
  t.match(await call('/authz', { who: 'alice', headers }), { status: 403, body: { reason: 'malformed_request' } })
  t.equal((await call('/api/whoami', { who: 'alice', headers })).status, 200)
  t.equal((await server.end('SIGTERM')).code, 0)
})

t.test('an idle connection does not delay the end', async t => {
  const folder = prepare(t)
  const server = await startTlsbound(t, folder, env)
  t.equal((await requestToken(openSocket(folder), 'alice')).status, 200)
  const idle = connect(join(folder, 'run/proxy.sock'))
  idle.on('error', () => {})
  idle.write('GET /binding HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(idle, 'data')
  const started = performance.now()
  t.equal((await server.end('SIGTERM')).code, 0)
  t.ok(performance.now() - started < 8000)
})

t.test('refuses a folder that others can replace through one that contains it', async t => {
  const folder = prepare(t)
  const path = join(folder, 'run', 'proxy.sock')
  t.doesNotThrow(() => checkSocketFolder(path), 'control')
  chmodSync(folder, 0o777)
  t.throws(() => checkSocketFolder(path), { message: /mode 0777, others can replace/ })
})

t.test('checks the folder in which the system opens the socket, where its path leaves a link again', async t => {
  const [folder, other] = [prepare(t), prepare(t)]
  symlinkSync(join(other, 'run'), join(folder, 'link'))
  const path = `${folder}/link/../run/proxy.sock` // in `other`
  t.doesNotThrow(() => checkSocketFolder(path), 'control')
  chmodSync(join(other, 'run'), 0o777)
  t.throws(() => checkSocketFolder(path), { message: /its mode 777 lets others/ })
})
