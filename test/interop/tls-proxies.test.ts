// Behind real proxies that end TLS, with the configuration of the page about them: nginx (also auth_request) and HAProxy. Clients try to
// state the certificate of another one. Needs the Debian packages nginx-light and haproxy.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, type SecureVersion, connect as startTls } from 'node:tls'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { makeDemoPki, writeDemoPki } from '../../src/pki/demo.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { type Identity, startTestServer } from '../../src/testing/server.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { fieldOf, issueProxy, thumbprintOf } from '../helpers/server/proxies.ts'
import { claimsOf, register } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const page = readFileSync('docs/how-to/run-behind-a-proxy-that-ends-tls.md', 'utf8')
const pki = makeDemoPki()
const { ca, alice, bob } = pki
const folder = t.testdir()
const [nginxPort, haproxyPort] = await Promise.all([findFreePort(), findFreePort()])
const proxies = [
  ...JSON.parse(blockOf('json')),
  { form: 'client-cert', tls_client_auth_subject_dn: 'CN=haproxy.internal' },
]
const server = await startTestServer({
  pki,
  tls: { clientCertFrom: proxies },
  clients: ['alice', 'bob'].map(id => register(id, { token_bindings: ['certificate', 'connection'] })),
})
t.teardown(() => server.close())

const seen: IncomingHttpHeaders[] = []
const service = createServer((request, response) => {
  seen.push(request.headers)
  response.end('notes')
}).listen(0, '127.0.0.1')
await once(service, 'listening')
t.teardown(() => service.close().closeAllConnections())

/** Returns the first block of the page in this language. */
function blockOf(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(page)?.[1]
  if (found === undefined) throw new Error(`the page has no block in ${language}`)
  return found
}

/** A server with a socket for nginx; its path must be short. */
const socketFolder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
t.teardown(() => rmSync(socketFolder, { recursive: true }))
writeDemoPki(join(socketFolder, 'certs'))
mkdirSync(join(socketFolder, 'proxy'), { mode: 0o750 })
writeFileSync(join(socketFolder, 'proxies.json'), JSON.stringify([{ form: 'nginx', socket: true, authz: true }]))
writeFileSync(
  join(socketFolder, 'routes.json'),
  JSON.stringify([
    {
      path: '/gateway/',
      upstream: `http://127.0.0.1:${(service.address() as AddressInfo).port}`,
      scope: 'notes:read',
      binding: 'certificate',
    },
  ]),
)

function write(name: string, ...identities: Identity[]): string {
  const path = join(folder, name)
  writeFileSync(`${path}.crt`, identities.map(({ certificate }) => certificate).join(''))
  writeFileSync(`${path}.key`, identities[0]?.key ?? '', { mode: 0o600 })
  writeFileSync(`${path}.pem`, `${identities[0]?.certificate}${identities[0]?.key}`, { mode: 0o600 })
  return path
}

/** Replaces names of the page by those of the test. @throws Error for a name that the page does not have. */
function adapt(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((adapted, [from, to]) => {
    if (!adapted.includes(from)) throw new Error(`the page does not have ${from}`)
    return adapted.replaceAll(from, to)
  }, text)
}

async function start(command: string, args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let words = ''
  child.stderr.on('data', chunk => (words += chunk))
  child.on('error', error => t.fail(`${command} is missing: ${error.message}`))
  child.on(
    'exit',
    code => code !== null && ![0, 143].includes(code) && t.fail(`${command} has ended with ${code}: ${words}`),
  )
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM') // with SIGKILL, the workers of nginx would go on
    await once(child, 'exit')
  })
  while (!(await isOpen(port))) await new Promise(resolve => setTimeout(resolve, 20))
  return child
}

const isOpen = (port: number) =>
  new Promise<boolean>(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

const edge = issueProxy('edge.internal', ca)
const paths = { proxy: write('proxy', edge), site: write('site', pki.server), ca: write('ca', ca) }
write('haproxy', issueProxy('haproxy.internal', ca))
mkdirSync(join(folder, 'temp'))
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path temp;`).join(' ')
writeFileSync(
  join(folder, 'nginx.conf'),
  `daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {}
http { access_log off; ${temporary}
${adapt(blockOf('nginx'), {
  'tlsbound.internal:8443': `127.0.0.1:${server.port}`,
  'tlsbound.internal;': 'localhost;',
  'listen 443 ssl http2': `listen 127.0.0.1:${nginxPort} ssl http2`,
  'example.com': 'localhost',
  '/etc/nginx/tls/site': paths.site,
  '/etc/nginx/tls/proxy': paths.proxy,
  '/etc/tlsbound/ca.crt': `${paths.ca}.crt`,
  '127.0.0.1:9000': `127.0.0.1:${(service.address() as AddressInfo).port}`,
  'location /oauth/': 'location ~ ^/(oauth/|binding|api/)',
})} }`,
)
writeFileSync(
  join(folder, 'haproxy.cfg'),
  `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
${adapt(blockOf('haproxy'), {
  'bind :443': `bind 127.0.0.1:${haproxyPort}`,
  '/etc/haproxy/site': paths.site,
  '/etc/haproxy/proxy': join(folder, 'haproxy'),
  '/etc/tlsbound/ca.crt': `${paths.ca}.crt`,
  'tlsbound.internal:8443': `127.0.0.1:${server.port}`,
  'verifyhost tlsbound.internal': 'verifyhost localhost',
})}`,
)
const nginx = await start(
  '/usr/sbin/nginx',
  ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
  nginxPort,
)
await start('/usr/sbin/haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], haproxyPort)

/** Fields by which a client states the certificate of alice. */
const forgeries: readonly Readonly<Record<string, string | string[]>>[] = [
  { 'X-SSL-Client-Cert': fieldOf.nginx(alice) },
  { 'x-ssl-client-cert': [fieldOf.nginx(alice), fieldOf.nginx(alice)] },
  { X_SSL_Client_Cert: fieldOf.nginx(alice) },
  { 'Client-Cert': fieldOf['client-cert'](alice) },
  { client_cert: fieldOf['client-cert'](alice) },
  { 'client-cert': [fieldOf['client-cert'](alice), fieldOf['client-cert'](alice)] },
  { 'X-Forwarded-Client-Cert': fieldOf.envoy(alice) },
  { connection: 'x-ssl-client-cert, client-cert', 'X-SSL-Client-Cert': fieldOf.nginx(alice) },
]

for (const [name, port, protocol] of [
  ['nginx', nginxPort, 'http/1.1'],
  ['nginx', nginxPort, 'h2'],
  ['HAProxy', haproxyPort, 'http/1.1'],
] as const)
  t.test(`${name} forwards the certificate of each client over ${protocol}`, async t => {
    const ALPNProtocols = [protocol]
    const behind = (who: keyof typeof pki | Identity | null) => server.connect(who, { port, ALPNProtocols })
    const [own, other] = [await behind('alice'), await behind('bob')]
    const token = await own.token()
    t.match(claimsOf(token), { attested: 'proxy', cnf: { 'x5t#S256': thumbprintOf(alice) } })
    t.match(await own.get('/api/whoami', token), { status: 200, body: { client_id: 'alice' } })
    const again = await behind('alice')
    t.match(await again.get('/api/whoami', token), { status: 200 }, 'on another connection of that certificate')
    t.match(await other.get('/api/whoami', token), { status: 401, body: { reason: 'certificate_mismatch' } })
    t.match(await other.requestToken({ client_id: 'alice' }), { status: 401, body: { reason: 'client_mismatch' } })
    t.match(await own.requestToken({ token_binding: 'connection' }), { body: { reason: 'binding_unavailable' } })
    const nobody = await behind(null)
    t.match(await nobody.get('/api/whoami', token), { status: 401, body: { reason: 'no_certificate' } })

    for (const fields of forgeries) {
      if (protocol === 'h2' && 'connection' in fields) continue // no field of HTTP/2
      for (const [who, thumbprint] of [
        [other, thumbprintOf(bob)],
        [nobody, undefined],
      ] as const) {
        const { status, body } = await who.call('/binding', { headers: fields })
        t.equal(status, 200)
        t.equal(body.certificate?.['x5t#S256'], thumbprint, JSON.stringify(Object.keys(fields)))
        t.match(await who.call('/api/whoami', { headers: fields, token }), { status: 401 })
      }
    }
    t.match(await own.get('/api/whoami', token), { status: 200 }, 'control')
  })

/** Requests /binding on a connection of its own. Returns what the server sees, and the latest session that the proxy offered. */
async function openSession(port: number, options: ConnectionOptions) {
  const socket = startTls({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate, ...options })
  let session: Buffer | undefined
  socket.on('session', offered => (session = offered))
  socket.write('GET /binding HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  const { certificate } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1))
  return { certificate, session, isReused: socket.isSessionReused() }
}

for (const [name, port] of [
  ['nginx', nginxPort],
  ['HAProxy', haproxyPort],
] as const)
  t.test(`${name} accepts no stolen session in place of the private key`, async t => {
    for (const version of ['TLSv1.3', 'TLSv1.2'] as SecureVersion[]) {
      const versions = { minVersion: version, maxVersion: version }
      const own = await openSession(port, { ...versions, cert: alice.certificate, key: alice.key })
      t.match(own.certificate, { 'x5t#S256': thumbprintOf(alice) }, `control over ${version}`)
      const { certificate, isReused } = await openSession(port, { ...versions, session: own.session })
      t.notOk(isReused, version)
      t.equal(certificate, null, version)
    }
  })

t.test('HAProxy lets no client ask for itself', async t => {
  const own = await server.connect('alice', { port: haproxyPort })
  const token = await own.token()
  for (const path of [
    '/authz',
    '/authz?audience=http://127.0.0.1:9000',
    '/authz/notes',
    '/%61uthz',
    '/authz%2F',
    '/%61%75thz/',
  ])
    for (const method of ['GET', 'POST', 'HEAD']) {
      const { status, headers } = await own.call(path, { method, token })
      t.equal(status, 404, `${method} ${path}`)
      t.notOk('tlsbound-assertion' in headers)
    }
  t.match(await own.get('/api/whoami', token), { status: 200 }, 'control')
})

t.test('nginx asks before it passes a request on, and states the identity to the service', async t => {
  const behind = (who: keyof typeof pki) => server.connect(who, { port: nginxPort })
  const [own, other] = [await behind('alice'), await behind('bob')]
  const token = await own.token()
  const narrow = await own.token({ scope: 'notes:write' })
  const before = seen.length
  t.match(await own.get('/notes/1', token), { status: 200, text: 'notes' })
  const headers = seen[before] as IncomingHttpHeaders
  const keys = createLocalJWKSet((await own.call('/oauth/jwks')).body)
  const { payload } = await jwtVerify(headers['tlsbound-assertion'] as string, keys, {
    issuer: 'https://localhost:8443',
    audience: 'https://localhost:8443',
    typ: 'tlsbound-assertion+jwt',
  })
  t.match(payload, { sub: 'alice', client_id: 'alice', token_binding: 'certificate', attested: 'proxy' })
  t.notOk(headers.authorization ?? headers['x-ssl-client-cert'])

  const refused = seen.length
  const none = await own.call('/notes/1')
  t.equal(none.status, 401)
  t.match(none.headers['www-authenticate'], /^Bearer resource_metadata="https:/)
  t.equal((await other.get('/notes/1', token)).status, 401, 'with the certificate of another client')
  t.equal((await own.get('/notes/1', narrow)).status, 403, 'without the scope')
  t.equal(
    (await own.get('/notes/1?scope=&access_token=x', narrow)).status,
    403,
    'the client does not change the demand',
  )
  t.equal((await own.call('/authz', { token })).status, 404, 'clients do not ask themselves')
  const posted = await own.call('/notes/1', { method: 'POST', token, body: 'x'.repeat(100_000) })
  t.equal(posted.status, 200, 'a body is not sent to the server')
  t.equal(seen.length, refused + 1, 'nothing that was refused has reached the service')
  const forged = { headers: { 'tlsbound-assertion': 'x', 'x-ssl-client-cert': fieldOf.nginx(alice) } }
  t.equal((await other.call('/notes/1', { token, ...forged })).status, 401)
})

t.test('nginx forwards and asks by a socket file, with the changes that the page names', async t => {
  const own = await startTlsbound(t, socketFolder, {
    TLSBOUND_CLIENT_CERT_FROM: 'proxies.json',
    TLSBOUND_PROXY_SOCKET: 'proxy/tlsbound.sock',
    TLSBOUND_GATEWAY_FILE: 'routes.json',
  })
  const port = await findFreePort()
  const authorities = `${join(socketFolder, 'certs', 'ca.crt')}`
  const text = adapt(blockOf('nginx').replaceAll(/^ *proxy_ssl_.*\n/gm, ''), {
    'server tlsbound.internal:8443;': `server unix:${join(socketFolder, 'proxy/tlsbound.sock')};`,
    'https://tlsbound': 'http://tlsbound',
    'listen 443 ssl http2': `listen 127.0.0.1:${port} ssl http2`,
    'example.com': 'localhost',
    '/etc/nginx/tls/site': join(socketFolder, 'certs/server'),
    '/etc/tlsbound/ca.crt': authorities,
    '127.0.0.1:9000': `127.0.0.1:${(service.address() as AddressInfo).port}`,
    'location /oauth/': 'location ~ ^/(oauth/|binding|api/|gateway/)',
  })
  const config = join(folder, 'nginx-socket.conf')
  writeFileSync(
    config,
    // Its workers open the socket; as root it would choose another user.
    `${process.getuid?.() === 0 ? 'user root; ' : ''}daemon off; pid nginx-socket.pid; error_log stderr; worker_processes 1; events {}
http { access_log off; ${temporary}
${text} }`,
  )
  await start('/usr/sbin/nginx', ['-p', folder, '-c', config, '-e', 'stderr'], port)
  const behind = (who: string | null, options = {}) => own.connect(who, { port, ...options })
  const [alice, bob] = [await behind('alice', { ALPNProtocols: ['h2'] }), await behind('bob')]
  const token = await alice.token({ token_binding: 'certificate' })
  t.match(claimsOf(token), { attested: 'proxy' })
  t.match(await alice.get('/api/whoami', token), { status: 200, body: { client_id: 'alice' } })
  t.match(await bob.get('/api/whoami', token), { status: 401, body: { reason: 'certificate_mismatch' } })
  for (const fields of forgeries) {
    if ('connection' in fields) continue
    const { body } = await alice.call('/binding', { headers: fields })
    t.equal(body.certificate.subject, 'CN=alice', JSON.stringify(Object.keys(fields)))
  }
  const nobody = await behind(null)
  t.match(await nobody.get('/api/whoami', token), { status: 401, body: { reason: 'no_certificate' } })
  const before = seen.length
  t.match(await alice.get('/notes/1', token), { status: 200, text: 'notes' })
  t.type(seen[before]?.['tlsbound-assertion'], 'string')
  t.equal((await bob.get('/notes/1', token)).status, 401)
  t.match(await alice.get('/gateway/', token), { status: 200, text: 'notes' }, 'the gateway too')
  t.match(seen.at(-1), { 'tlsbound-assertion': /^ey/, 'x-forwarded-proto': 'https' })
  const direct = await own.connect('alice')
  t.match(await direct.get('/api/whoami', token), { status: 200 }, 'a direct client beside it')
})

t.test('nginx goes on with a renewed certificate of the same name', async t => {
  write('proxy', issueProxy('edge.internal', ca))
  nginx.kill('SIGHUP')
  await new Promise(resolve => setTimeout(resolve, 500))
  const own = await server.connect('alice', { port: nginxPort })
  t.match(claimsOf(await own.token()), { attested: 'proxy' })
  write('proxy', issueProxy('other.internal', ca))
  nginx.kill('SIGHUP')
  await new Promise(resolve => setTimeout(resolve, 500))
  const fresh = await server.connect('alice', { port: nginxPort })
  t.match(
    await fresh.requestToken(),
    { status: 401, body: { reason: 'client_mismatch' } },
    'not by that of another name',
  )
  t.match(server.events.at(-1).facts, { ignored_header: 'x-ssl-client-cert' })
})
