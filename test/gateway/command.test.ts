// `tlsbound gateway` as a process, for tokens of a server elsewhere; and the reload of routes, by the command and by the server.
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { readCertificate } from '../../src/core/presenter.ts'
import { importVerificationKeys } from '../../src/keys/token-keys.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { startUpstream } from '../helpers/server/gateway.ts'

t.setTimeout(240_000) // processes, each slow to start on a busy machine
const folder = t.testdir()
const issuer = await startTlsbound(t, folder, { TLSBOUND_AUDIT_FILE: 'events.jsonl' })
const origin = `https://localhost:${issuer.port}`
const upstream = await startUpstream(t)

/** Starts the command in the folder of the demo's certificates. */
async function start(t: Test, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const port = await findFreePort()
  const command = [process.execPath, resolve('src/cli/cli.ts'), 'gateway', '--port', String(port), ...args]
  const events = { TLSBOUND_AUDIT_FILE: 'gateway.jsonl', TLSBOUND_SIGNING_KEYS_FILE: '' }
  return startTlsbound(t, folder, { TLSBOUND_PORT: String(port), ...events, ...env }, 1, command)
}

t.test('protects a service with the tokens of the issuer, and states the identity', async t => {
  const gateway = await start(t, ['--upstream', upstream.address, '--issuer', origin, '--scope', 'notes:read'])
  const client = await issuer.connect('alice')
  const token = await client.token({ token_binding: 'certificate' })
  const alice = await gateway.connect('alice')
  t.match(await alice.get('/a', token), { status: 200, text: 'ok' })
  t.match(await (await gateway.connect('bob')).get('/a', token), {
    status: 401,
    body: { reason: 'certificate_mismatch' },
  })
  t.match(await alice.get('/a', await client.token()), { status: 401, body: { reason: 'connection_mismatch' } })
  const proven = await client.token({ token_binding: 'proof' })
  t.match(await alice.get('/a', proven, alice.prove(proven)), { status: 200 })
  t.match(await alice.get('/a', await client.token({ token_binding: 'certificate', scope: 'notes:write' })), {
    status: 403,
  })
  const refused = await alice.get('/a')
  t.match(gateway.stderr(), `The gateway listens on https://localhost:${gateway.port}.\n`)
  t.match(
    readFileSync(join(folder, 'gateway.jsonl'), 'utf8'),
    /"event":"token.refused".*"reason":"connection_mismatch"/,
  )
  t.match(refused, { status: 401, headers: { 'www-authenticate': /resource_metadata=/ } })

  const assertion = String(upstream.seen.at(-1)?.headers['tlsbound-assertion'])
  const { body } = await alice.get('/oauth/jwks')
  const [key] = await importVerificationKeys(body.keys)
  t.match(key?.verify(assertion), {
    iss: `https://localhost:${gateway.port}`,
    aud: upstream.address,
    client_id: 'alice',
    token_binding: 'proof',
  })
  t.notMatch((await client.get('/oauth/jwks')).body.keys, body.keys, 'not the keys of the issuer')
  t.match(await alice.get('/.well-known/oauth-protected-resource'), {
    body: { resource: origin, authorization_servers: [origin] },
  })
  const { code, stderr } = await gateway.end('SIGTERM')
  t.equal(code, 0)
  t.match(stderr, /SIGTERM/)
})

t.test('accepts tokens of level certificate behind a proxy that ends TLS, and says so to the service', async t => {
  const x509 = (name: string) => new X509Certificate(readFileSync(join(folder, `certs/${name}.crt`)))
  const proxies = [{ form: 'client-cert', 'x5t#S256': readCertificate(x509('mallory')).thumbprint }]
  writeFileSync(join(folder, 'proxies.json'), JSON.stringify(proxies))
  const gateway = await start(t, ['--upstream', upstream.address, '--issuer', origin], {
    TLSBOUND_CLIENT_CERT_FROM: 'proxies.json',
  })
  const client = await issuer.connect('alice')
  const [weak, strong] = [
    await client.token({ token_binding: 'certificate' }),
    await client.token({ token_binding: 'proof' }),
  ]
  const proxy = await gateway.connect('mallory')
  const behind = (who: string, token: string) =>
    proxy.call('/a', { token, headers: { 'client-cert': `:${x509(who).raw.toString('base64')}:` } })
  t.match(await behind('alice', weak), { status: 200 })
  const headers = upstream.seen.at(-1)?.headers ?? {}
  t.notOk('client-cert' in headers)
  const [, payload = ''] = String(headers['tlsbound-assertion']).split('.')
  t.match(JSON.parse(Buffer.from(payload, 'base64url').toString()), { attested: 'proxy', client_id: 'alice' })
  t.match(await behind('bob', weak), { status: 401, body: { reason: 'certificate_mismatch' } })
  t.match(await behind('alice', strong), { status: 401, body: { reason: 'connection_mismatch' } })
  t.match(await proxy.get('/a', weak), { status: 401, body: { reason: 'no_certificate' } })
  await gateway.end('SIGTERM')
})

t.test('a wrong file at a reload keeps the old routes, and says why; a good one replaces them', async t => {
  const file = join(folder, 'routes.json')
  const write = (routes: unknown) => writeFileSync(file, JSON.stringify(routes))
  write([{ path: '/one', upstream: upstream.address, public: true }])
  const gateway = await start(t, ['--routes', 'routes.json', '--issuer', origin])
  const server = await startTlsbound(t, t.testdir(), { TLSBOUND_GATEWAY_FILE: file })
  for (const { child, seen, stderr, connect } of [gateway, server]) {
    write([{ path: '/one', upstream: upstream.address, public: true }])
    const alice = await connect('alice')
    t.match(await alice.get('/one'), { status: 200 })
    t.match(await alice.get('/two'), { status: 404 })
    write([{ path: '/two', upstream: upstream.address, pubic: true }])
    let since = stderr().length
    child.kill('SIGHUP')
    await seen(/routes of the gateway stay as they were: .*unknown member .*did you mean public/, since)
    t.match(await alice.get('/one'), { status: 200 })
    write([{ path: '/two', upstream: upstream.address, public: true }])
    since = stderr().length
    child.kill('SIGHUP')
    await seen(/routes of the gateway were loaded again/, since)
    t.match(await alice.get('/one'), { status: 404 })
    t.match(await alice.get('/two'), { status: 200 })
  }
})

t.test('notices changed files without a signal, as the server does', async t => {
  const file = join(folder, 'watched.json')
  const write = (routes: unknown) => writeFileSync(file, JSON.stringify(routes))
  const at = (path: string) => [{ path, upstream: upstream.address, public: true }]
  const copy = (name: string, to: string) =>
    writeFileSync(join(folder, to), readFileSync(join(folder, name)), { mode: 0o600 })
  write(at('/one'))
  for (const name of ['crt', 'key']) copy(`certs/server.${name}`, `watched.${name}`)
  copy('certs/ca.crt', 'watched-ca.crt')
  const gateway = await start(t, ['--routes', 'watched.json', '--issuer', origin], {
    TLSBOUND_TLS_CERT_FILE: 'watched.crt',
    TLSBOUND_TLS_KEY_FILE: 'watched.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'watched-ca.crt',
  })
  t.match(await (await gateway.connect('alice')).get('/one'), { status: 200 }, 'control')
  write(at('/two'))
  await gateway.seen(/routes of the gateway were loaded again/)
  t.match(await (await gateway.connect('alice')).get('/two'), { status: 200 })
  write([{ path: '/three' }])
  await gateway.seen(/routes of the gateway stay as they were/)
  t.match(await (await gateway.connect('alice')).get('/two'), { status: 200 }, 'the old ones')
  const pki = makeDemoPki()
  writeFileSync(join(folder, 'watched.crt'), pki.server.certificate)
  writeFileSync(join(folder, 'watched.key'), pki.server.key)
  await gateway.seen(/revocation lists were loaded again/)
  const { socket } = await gateway.connect('alice', { ca: pki.ca.certificate })
  t.equal(socket.getPeerX509Certificate()?.serialNumber, new X509Certificate(pki.server.certificate).serialNumber)
  await gateway.end('SIGTERM')
})

const ofIntrospection = [
  [['--upstream', 'http://a', '--introspect', '0'], 2, /--introspect must be a number of seconds from 1 to 300/],
  [['--upstream', 'http://a', '--introspect', '5'], 2, /--introspect needs --client-id/],
  [['--upstream', 'http://a', '--cert', 'certs/alice.crt'], 2, /--cert is of use with --introspect only/],
  [
    [
      ...['--upstream', 'http://a', '--introspect', '5', '--client-id', 'a'],
      ...['--cert', 'certs/alice.crt', '--key', 'certs/bob.key'],
    ],
    1,
    /this key does not belong to the certificate in certs\/alice\.crt/,
  ],
] as const

t.test('names what is wrong before it listens', async t => {
  const rows: readonly (readonly [args: readonly string[], code: number, words: RegExp])[] = [
    [[], 2, /--upstream or --routes is missing/],
    [['--upstream', 'http://a/b'], 2, /--upstream must be http:/],
    [['--upstream', 'http://a', '--routes', 'x'], 2, /exclude each other/],
    [['--routes', 'x', '--scope', 'a'], 2, /--scope belongs into the routes of x/],
    [['--upstream', 'http://a', '--binding', 'connection'], 2, /--binding must be one of certificate, proof/],
    [['--routes', 'absent.json'], 1, /absent\.json: there is no such file/],
    [['--upstream', 'http://a', '--issuer', 'http://a'], 2, /--issuer must be an https address/],
  ]
  for (const [args, code, words] of [...rows, ...ofIntrospection]) {
    const ended = await runTlsbound(['gateway', ...args], folder)
    t.match(ended, { code, stderr: words }, args.join(' '))
  }
  writeFileSync(join(folder, 'weak.json'), JSON.stringify([{ path: '/', upstream: 'http://a', binding: 'connection' }]))
  const weak = await runTlsbound(['gateway', '--routes', 'weak.json'], folder)
  t.match(weak, {
    code: 1,
    stderr: /binding connection works only on the listener of the issuer: set TLSBOUND_GATEWAY_FILE/,
  })
  const served = await runTlsbound(['serve'], folder, { TLSBOUND_GATEWAY_FILE: 'absent.json' })
  t.match(served, { code: 1, stderr: /absent\.json/ })
  const own = await runTlsbound(['gateway', '--upstream', 'http://a'], folder, {
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
  })
  t.match(own, { code: 2, stderr: /--issuer \(TLSBOUND_ISSUER\) is missing/ })
})

t.test('a port in use ends the command', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await new Promise(done => taken.once('listening', done))
  const { port } = taken.address() as AddressInfo
  const args = ['gateway', '--upstream', 'http://a', '--port', String(port)]
  for (const probes of ['0', String(await findFreePort())])
    t.match(await runTlsbound(args, folder, { TLSBOUND_PROBE_PORT: probes }), { code: 1, stderr: /EADDRINUSE/ })
})
