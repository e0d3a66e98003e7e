// The probe listener and `tlsbound ready`: health, readiness and metrics for any host, and nothing else.
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { run, runTlsbound, startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000)
const folder = t.testdir()
const [port, opsPort] = await Promise.all([findFreePort(), findFreePort()])
const env = { TLSBOUND_PROBE_HOST: '0.0.0.0', TLSBOUND_PROBE_PORT: String(port), TLSBOUND_OPS_PORT: String(opsPort) }
const links = { TLSBOUND_SERVICE_HOST: '10.96.0.7', TLSBOUND_PORT_8443_TCP: 'tcp://10.96.0.7:8443' }
const server = await startTlsbound(t, folder, { ...env, ...links, TLSBOUND_DATA_DIR: 'state/of server' })
const ready = (more: Record<string, string> = {}) => runTlsbound(['ready'], folder, { ...env, ...more })

/** Sends octets, and resolves with all that comes until the connection closes. */
function send(octets: string): Promise<string> {
  return new Promise(done => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(octets, 'latin1'))
    socket
      .setEncoding('latin1')
      .on('data', part => (text += part))
      .on('error', () => {})
      .once('close', () => done(text))
  })
}
const ask = (target: string, ...headers: string[]) =>
  send(`${target} HTTP/1.1\r\n${headers.map(h => `${h}\r\n`).join('')}\r\n`)

t.test('answers health, readiness and metrics, whatever the Host', async t => {
  for (const host of ['Host: 10.1.2.3:9080', 'Host: tlsbound.default.svc', 'Host: evil.example', 'X-No: host']) {
    for (const path of ['/health', '/healthz'])
      t.match(await ask(`GET ${path}`, host), /^HTTP\/1.1 200 [\s\S]*\n{"status":"alive"}\n$/)
    for (const path of ['/ready', '/readyz', '/ready?a=b'])
      t.match(await ask(`GET ${path}`, host), /^HTTP\/1.1 200 [\s\S]*\n{"status":"ready"}\n$/)
  }
  t.match(await ask('GET /metrics'), /^tlsbound_ready 1$/m)
  t.match(await ask('HEAD /ready'), /^HTTP\/1.1 200 [^{]*\r\n\r\n$/)
})

t.test('answers nothing else', async t => {
  for (const path of [
    '/',
    '/live',
    '/admin/clients',
    '/oauth/token',
    '/constructor',
    '/__proto__',
    '/ready/',
    '//ready',
  ])
    t.match(await ask(`GET ${path}`), /^HTTP\/1.1 404 /, path)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
    t.match(await ask(`${method} /ready`, 'Content-Length: 0'), /^HTTP\/1.1 405 [\s\S]*allow: GET, HEAD/, method)
  t.match(
    await ask('POST /admin/revocations', 'Content-Length: 999999', 'Expect: 100-continue'),
    /^HTTP\/1.1 (405|100) /,
  )
  t.equal(await ask('CONNECT localhost:443'), '', 'CONNECT')
  t.match(await ask('GET /ready', 'Upgrade: websocket', 'Connection: upgrade'), /^HTTP\/1.1 200 /, 'no upgrade')
})

t.test('survives octets that are no request', async t => {
  t.match(await send('\x16\x03\x01\x02\x00\x01'), /^HTTP\/1.1 400 /, 'TLS')
  t.match(await ask('GET /ready', `X: ${'a'.repeat(20_000)}`), /^HTTP\/1.1 431 /, 'a large header')
  t.match(await send('GET /ready HTTP/1.1\r\n\r\n'.repeat(50)), /^HTTP\/1.1 200 /, 'many requests at once')
  const started = performance.now()
  await Promise.all(Array.from({ length: 100 }, () => ask('GET /ready')))
  t.ok(performance.now() - started < 10_000)
  t.match(await send('GET /re'), /^HTTP\/1.1 408 |^$/, 'a request that is never complete is ended')
  t.match(await ask('GET /ready'), /^HTTP\/1.1 200 /, 'control')
  t.notMatch(server.stdout(), /client.refused|admin.refused|connection.refused/, 'no event')
})

t.test('starts in a pod: with its data folder elsewhere, and the variables of a service', async t => {
  t.same(
    readdirSync(join(folder, 'state/of server'))
      .filter(name => !/\.state-|-wal$/.test(name))
      .sort(),
    ['ops-token', 'signing-keys.json', 'signing-keys.json.seen', 'tlsbound.db'],
  )
  t.notOk(existsSync(join(folder, 'data')))
  t.match(
    server.stderr(),
    /ignored, because Kubernetes adds them for a service: TLSBOUND_SERVICE_HOST, TLSBOUND_PORT_8443_TCP/,
  )
  const env = { TLSBOUND_DATA_DIR: 'state/of server', TLSBOUND_OPS_URL: `http://127.0.0.1:${opsPort}` }
  t.match(await runTlsbound(['reload'], folder, env), { code: 0 }, 'commands use the same folder')
  t.match(await runTlsbound(['keys', 'list'], folder, env), { code: 0, stdout: /signs/ })
})

t.test('tells a probe by its exit code', async t => {
  t.match(await ready(), { code: 0, stdout: '', stderr: '' }, 'the probe listener')
  t.match(await ready({ TLSBOUND_PROBE_PORT: '' }), { code: 0, stdout: '', stderr: '' }, 'the ops listener')
  const closed = String(await findFreePort())
  t.match(await ready({ TLSBOUND_PROBE_PORT: closed }), { code: 1, stderr: /does not respond \(ECONNREFUSED\)/ })
  t.match(await ready({ TLSBOUND_PROBE_PORT: 'x' }), { code: 2, stderr: /TLSBOUND_PROBE_PORT must be a port number/ })
  t.match(await ready({ TLSBOUND_PROBE_PORT: '0', TLSBOUND_OPS_PORT: '0' }), { code: 2, stderr: /no listener to ask/ })
  t.match(await runTlsbound(['ready', 'x'], folder), { code: 2, stderr: /unexpected argument/ })
  const tls = String(server.port)
  t.match(await ready({ TLSBOUND_PROBE_PORT: tls }), { code: 1, stderr: /does not respond|is not ready/ }, 'not HTTP')
})

t.test('loads little: a probe runs it every few seconds', async t => {
  const script = `process.argv.splice(1, 1, 'tlsbound', 'ready'); await import(${JSON.stringify(resolve('src/cli/cli.ts'))})
    process.once('exit', () => console.log(process.moduleLoadList.filter(name => /NativeModule (http|https|http2|_tls_wrap|internal\\/crypto\\/x509)$/.test(name))))`
  const { code, stdout } = await run(process.execPath, ['--input-type=module', '-e', script, 'x'], folder, env)
  t.match({ code, stdout }, { code: 0, stdout: '[]\n' })
})

t.test('reports the end of a server: not ready, and still alive', async t => {
  const connection = await server.connect('alice')
  t.match(await connection.get('/binding'), { status: 200 })
  server.child.kill('SIGSTOP')
  const stopped = ready()
  t.match(await stopped, { code: 1, stderr: /does not respond \(timed out\)/ }, 'a server that hangs')
  server.child.kill('SIGCONT')
  t.match(await ready(), { code: 0 }, 'control')
  await server.end('SIGTERM')
  t.match(await ready(), { code: 1, stderr: /ECONNREFUSED/ })
})
