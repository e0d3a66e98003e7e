// The authorization server inside a program of others: a whole server with own routes, and the plugin in an app of its own, over
// real TLS.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { SecurityEvent } from '../../src/audit/event.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { makeDemoPki, writeDemoPki } from '../../src/pki/demo.ts'
import { demoRegistrations } from '../../src/process/demo.ts'
import {
  type AuthorizationServerOptions,
  authorizationServer,
  generateTokenKey,
  openSqlite,
  type StartServerOptions,
  startServer,
} from '../../src/process/embed.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import type { MutualTlsOptions } from '../../src/tls/listener-options.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const pki = makeDemoPki()
const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
const keys = [await generateTokenKey('ES256')]
const silent = Fastify().log
const unavailable = { name: 'OAuthError', reason: 'store_unavailable' } as unknown as Error
const routes = (app: FastifyInstance) => {
  app.get('/mine', async request => ({ of: request.token.claims.client_id, binding: request.token.binding }))
  app.get('/proved', { config: { requireToken: { binding: 'proof' } } }, async () => 'proved')
}

/** Connects as one of the demo, to a port of this machine. */
async function connect(t: Test, port: number, who: 'alice' | 'bob' | Identity, clientId = String(who)) {
  const { certificate: cert, key } = typeof who === 'string' ? pki[who] : who
  const options = { host: '127.0.0.1', port, servername: 'localhost', cert, key, ca: pki.ca.certificate }
  const connection = await openConnection(options, clientId)
  t.teardown(() => connection.close())
  return connection
}

/** Starts a server in memory, with own routes. */
async function start(
  t: Test,
  options: Partial<StartServerOptions> = {},
  own: Pick<StartServerOptions, 'routes'> = { routes },
) {
  const port = options.settings?.port ?? (await findFreePort())
  const events: SecurityEvent[] = []
  const server = await startServer({
    tls: material,
    clients: demoRegistrations,
    keys,
    store: openSqlite(':memory:'),
    logger: silent,
    ...own,
    onEvent: event => void events.push(event),
    ...options,
    settings: { port, opsPort: 0, ...options.settings },
  })
  t.teardown(() => server.close())
  return { ...server, port, events, as: (who: 'alice' | 'bob') => connect(t, port, who) }
}

t.test(
  'own routes of a whole server accept every level, and a connection-bound token on its connection only',
  async t => {
    const { as, events, origin, port } = await start(t)
    t.equal(origin, `https://localhost:${port}`)
    const alice = await as('alice')
    const token = await alice.token()
    t.match(await alice.get('/mine', token), { status: 200, body: { of: 'alice', binding: 'connection' } })
    t.match(await (await as('alice')).get('/mine', token), { status: 401, body: { reason: 'connection_mismatch' } })
    t.match(await (await as('bob')).get('/mine', token), { status: 401, body: { reason: 'certificate_mismatch' } })
    t.match(await alice.get('/mine'), { status: 401, body: { reason: 'no_token' } })
    t.match(await alice.get('/elsewhere', token), { status: 404, body: { reason: 'malformed_request' } })
    const proof = await alice.token({ token_binding: 'proof' })
    t.match(await alice.get('/proved', proof, alice.prove(proof)), { status: 200, text: 'proved' })
    const certificate = await alice.token({ token_binding: 'certificate' })
    t.match(await alice.get('/proved', certificate), { status: 401, body: { reason: 'binding_too_weak' } })
    t.match(await (await as('alice')).get('/mine', certificate), { status: 200 }, 'control: on another connection')
    t.match(events, [
      { event: 'key.rotated' },
      { event: 'token.issued', client_id: 'alice' },
      { event: 'token.refused' },
    ])
  },
)

t.test('beside own routes, unmatched paths require a token, and the endpoints of the issuer do not', async t => {
  const noToken = { status: 401, body: { reason: 'no_token' } }
  const own = await start(t, {
    routes: app => {
      app.setErrorHandler((_error, _request, reply) => void reply.code(500).send('mine'))
      app.get('/mine', () => 'mine')
      app.get('/fault', () => Promise.reject(new Error('x')))
    },
  })
  const plain = await start(t, {}, {})
  const alice = await own.as('alice')
  const token = await alice.token()
  t.match(await alice.get('/fault', token), { status: 500, text: 'mine' }, 'control: their error handler')
  for (const path of ['/elsewhere', '/mine/', '/mine/x', '/oauth', '/oauth/token/', '/.well-known/x', '/api/x']) {
    t.match(await alice.get(path), noToken, path)
    t.match(await alice.call(path, { method: 'POST', body: '{', headers: { 'content-type': 'text/x' } }), noToken, path)
    t.match(
      await alice.get(path, token),
      { status: 404, body: { reason: 'malformed_request' } },
      `${path} with a token`,
    )
  }
  t.match(await alice.call('/mine', { method: 'DELETE' }), noToken, 'another method of an own route')
  t.match(await alice.call('/mine', { method: 'DELETE', token }), { status: 405, headers: { allow: 'GET, HEAD' } })
  const other = await plain.as('alice')
  t.match(await other.get('/elsewhere'), { status: 404 }, 'control: without own routes nothing is protected')
  for (const server of [alice, other]) {
    for (const path of ['/', '/binding', '/oauth/jwks', '/.well-known/oauth-authorization-server'])
      t.match(await server.get(path), { status: 200 }, path)
    t.match(await server.requestToken(), { status: 200 })
    t.match(await server.get('/oauth/token'), { status: 405, headers: { allow: 'POST' } })
    t.match(await server.call('/binding?x=1', { method: 'DELETE' }), { status: 405, headers: { allow: 'GET, HEAD' } })
    t.match(await server.call('/', { method: 'PUT' }), { status: 405, headers: { allow: 'GET, HEAD' } })
  }
})

t.test('two servers in one process are strangers to each other', async t => {
  const [one, other] = [await start(t), await start(t, { keys: [await generateTokenKey('ES256')] })]
  const bound = { token_binding: 'certificate' }
  const token = await (await one.as('alice')).token(bound)
  t.match(await (await one.as('alice')).get('/mine', token), { status: 200 }, 'control')
  t.match(await (await other.as('alice')).get('/mine', token), { status: 401 })
  await one.close()
  const alice = await other.as('alice')
  t.match(await alice.get('/mine', await alice.token()), { status: 200 }, 'the other one goes on')
  await t.rejects(one.as('alice'), 'the closed one does not')
})

t.test('files as npm start has them, loaded again by reload()', async t => {
  const folder = t.testdir()
  writeDemoPki(join(folder, 'certs'))
  const path = (name: string) => join(folder, name)
  const write = (clients: readonly object[]) => writeFileSync(path('clients.json'), JSON.stringify(clients))
  write(demoRegistrations)
  const port = await findFreePort()
  const server = await startServer({
    settings: {
      ...{ port, opsPort: await findFreePort(), opsTokenFile: path('data/ops-token') },
      tlsCertFile: path('certs/server.crt'),
      tlsKeyFile: path('certs/server.key'),
      tlsClientCaFile: path('certs/ca.crt'),
      clientsFile: path('clients.json'),
      signingKeysFile: undefined,
      stateUrl: `sqlite:${path('data/state.db')}`,
      auditFile: path('events.jsonl'),
    },
    keys,
    logger: silent,
    routes,
  })
  t.teardown(() => server.close())
  const pem = (name: string) => readFileSync(path(`certs/${name}`), 'utf8')
  const open = async (who: string) => {
    const identity = { cert: pem(`${who}.crt`), key: pem(`${who}.key`), ca: pem('ca.crt') }
    const connection = await openConnection({ host: '127.0.0.1', port, servername: 'localhost', ...identity }, who)
    t.teardown(() => connection.close())
    return connection
  }
  const bob = await open('bob')
  t.match(await bob.get('/mine', await bob.token()), { status: 200 }, 'control')
  write(demoRegistrations.filter(({ client_id }) => client_id !== 'bob'))
  await server.reload()
  t.match(await bob.requestToken(), { status: 401 })
  const { port: opsPort } = (server.ops as FastifyInstance).server.address() as AddressInfo
  const health = await fetch(`http://127.0.0.1:${opsPort}/health`)
  t.ok(health.status < 500, 'the ops listener answers')
  await server.close()
  t.match(readFileSync(path('events.jsonl'), 'utf8'), /"event":"token.issued"/)
})

t.test('what clients() returns at a reload is checked as at the start', async t => {
  const errors: string[] = []
  const logger = Object.assign(Object.create(silent), { error: (text: string) => void errors.push(text) })
  let clients: unknown = demoRegistrations
  const server = await start(t, { logger, clients: () => clients as typeof demoRegistrations })
  const bob = await server.as('bob')
  for (const wrong of [null, {}, 'x', { list: [], clients: new Map() }]) {
    errors.length = 0
    clients = wrong
    await server.reload()
    t.match(errors, [/stay as they were: clients must be an array of registrations$/])
    t.equal((await bob.requestToken()).status, 200, 'still registered')
  }
  clients = demoRegistrations.filter(({ client_id }) => client_id !== 'bob')
  await server.reload()
  t.equal((await bob.requestToken()).status, 401, 'control')
})

t.test('what the app changes in its list during a reload is in force after the next one', async t => {
  const alice = { ...(demoRegistrations[0] as (typeof demoRegistrations)[number]) }
  const others = Array.from({ length: 5000 }, (_, index) => ({
    ...alice,
    ...{ client_id: `client-${index}`, tls_client_auth_subject_dn: `CN=client-${index}` },
  }))
  let onLoad = () => {}
  const server = await start(t, {
    clients() {
      onLoad()
      return [alice, ...others]
    },
  })
  const connection = await server.as('alice')
  const scope = async () => ((await connection.requestToken()).body as { scope?: string }).scope
  t.equal(await scope(), 'notes:read notes:write', 'control')
  onLoad = () => void setImmediate(() => Object.assign(alice, { scope: 'notes:read' })) // between two steps
  await server.reload()
  t.equal(alice.scope, 'notes:read')
  onLoad = () => {}
  await server.reload()
  t.equal(await scope(), 'notes:read')
})

t.test('every wrong option and setting is named in one TypeError, and nothing is opened', async t => {
  const folder = t.testdir()
  const named = async (options: object, ...problems: (string | RegExp)[]) => {
    const error = await startServer(options as StartServerOptions).then(
      server => server.close().then(() => undefined),
      error => error,
    )
    t.ok(error instanceof TypeError, `${error}`)
    for (const problem of problems) t.match(error?.message, problem)
    return String(error?.message)
  }
  const good = { settings: { opsPort: 0 }, tls: material, clients: demoRegistrations, keys, logger: silent }
  const store = openSqlite(':memory:')
  await named(
    {
      ...good,
      settings: {
        port: '8443',
        http2: 'off',
        htpp2: true,
        host: '',
        issuer: 'http://a.example',
        accessTokenLifetime: 1.5,
      },
      clients: [{ client_id: 'alice', wrong: true }],
      keys: [{ kid: 'a', alg: 'none' }],
      route: routes,
      onEvent: 'x',
    },
    /settings\.port must be a port number, not "8443"/,
    /settings\.http2 must be true or false, not "off"/,
    /settings\.htpp2 is not a setting; did you mean settings\.http2\?/,
    /settings\.host must be an IP address, not an empty text/,
    /settings\.issuer must be an https address/,
    /settings\.accessTokenLifetime must be seconds from 1 to 86400, not 1\.5/,
    /clients: .*wrong/,
    /keys: key a: alg/,
    /route is not an option; did you mean routes\?/,
    /onEvent must be a function/,
  )
  await named(
    {},
    /settings must be an object/,
    /settings\.tlsCertFile, .*required/,
    /clients or settings\.clientsFile is required/,
  )
  await named(undefined as unknown as object, /options must be an object/)
  await named({ ...good, settings: { TLSBOUND_PORT: 8443 } }, /settings\.TLSBOUND_PORT is not a setting/)
  await named({ ...good, settings: { port: 0 } }, /settings\.port must be a port number, not 0/)
  for (const workers of [2, 'auto'])
    await named({ ...good, settings: { workers } }, /settings\.workers must be 1: workers/)
  await named(
    { ...good, settings: { tlsCertFile: 'a', clientsFile: 'b', signingKeysFile: 'c', logLevel: 'info' } },
    /tls and settings\.tlsCertFile exclude each other/,
    /clients and settings\.clientsFile exclude/,
    /keys and settings\.signingKeysFile exclude/,
    /logger and settings\.logLevel exclude/,
  )
  await named(
    { ...good, tls: { ...material, key: pki.alice.key } },
    /tls: the private key does not belong to the certificate/,
  )
  await named({ ...good, tls: { ...material, ca: undefined } }, /tls\.ca must be PEM text .*, not undefined/)
  await named(
    { ...good, tls: { ...material, crls: material.ca } },
    /tls\.crls is not an option; did you mean tls\.crl\?/,
  )
  await named(
    { ...good, tls: { ...material, ca: 'certs/ca.crt' } },
    /tls\.ca must be PEM text .*, not "certs\/ca\.crt"/,
  )
  await named({ ...good, tls: () => ({ ...material, crls: '' }) }, /tls\.crls is not an option/)
  await named({ ...good, tls: async () => material }, /tls must be an object with cert, key, ca, not a promise/)
  await named({ ...good, tls: mutualTls(material) }, /tls must be an object .*: startServer calls mutualTls itself/)
  await named(
    { ...good, logger: {} },
    /logger must be a logger of Fastify, such as pino\(\): it has no method trace, debug, /,
  )
  await named({ ...good, keys: [] }, /keys must have at least one private key/)
  await t.rejects(
    startServer({
      ...good,
      keys: undefined,
      store,
      settings: { opsPort: 0, signingKeysFile: join(folder, 'none.json') },
    } as never),
    {
      name: 'FileProblem',
      message:
        /none\.json: there is no such file \(ENOENT\); copy the file of another server here, or create it: tlsbound keys create /,
    },
  )
  const leaked = await named({
    ...good,
    settings: { tlsKeyFile: pki.server.key, stateUrl: 'postgres://u:secret@h/d#x' },
  })
  t.notMatch(leaked, /PRIVATE|secret@/, 'a secret in the wrong place is not shown')
  t.notOk(existsSync(join(folder, 'data')))
})

t.test('with NODE_ENV=production it refuses what npm start refuses', async t => {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = 'production'
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  })
  const store = openSqlite(':memory:')
  t.teardown(() => store.close())
  const options = { settings: { opsPort: 0 }, tls: material, clients: demoRegistrations, keys, store, logger: silent }
  await t.rejects(startServer(options), { name: 'SettingsError', message: /tls\.cert: memory is a demo certificate/ })
})

t.test('keys in memory are events when the server takes them over', async t => {
  const { events } = await start(t)
  t.match(events[0], { event: 'key.rotated', change: 'present', kid: keys[0]?.kid })
  t.equal(events.length, keys.length)
})

t.test('an event that onEvent refuses keeps the token back', async t => {
  let isFull = false
  const { as } = await start(t, {
    onEvent: () => {
      if (isFull) throw new Error('the disk is full')
    },
  })
  const alice = await as('alice')
  t.match(await alice.requestToken(), { status: 200 }, 'control')
  isFull = true
  t.match(await alice.requestToken(), { status: 503, body: { reason: 'store_unavailable' } })
})

t.test('a start that fails leaves nothing open: the port is free again, and the store is closed', async t => {
  const port = await findFreePort()
  const store = openSqlite(':memory:')
  const failing = () => Promise.reject(new Error('a route that fails'))
  await t.rejects(start(t, { settings: { port }, store, routes: failing }), /a route that fails/)
  await t.rejects(store.check(), unavailable)
  const { as } = await start(t, { settings: { port } })
  t.match(await (await as('alice')).requestToken(), { status: 200 })
  const taken = openSqlite(':memory:')
  await t.rejects(start(t, { settings: { port }, store: taken }), { code: 'EADDRINUSE' })
  await t.rejects(taken.check(), unavailable)
})

t.test('close() ends in time, whatever clients do, and is the same when it is called twice', async t => {
  let isEntered = false
  const { as, close } = await start(t, {
    routes: app =>
      void app.get('/endless', () => {
        isEntered = true
        return new Promise(() => {})
      }),
  })
  const [alice, idle] = [await as('alice'), await as('bob')]
  const token = await alice.token()
  t.match(await idle.requestToken(), { status: 200 })
  const answer = alice.get('/endless', token).catch(error => error as Error)
  await until(() => isEntered)
  const begin = performance.now()
  t.equal(close(), close())
  await close()
  const took = performance.now() - begin
  t.ok(took > 7000 && took < 11_000, `${Math.round(took)} ms: a request under way has eight seconds`)
  t.ok((await answer) instanceof Error, 'the endless request was ended')
})

t.test('after close() nothing keeps the process alive, and no signal has a new listener', async t => {
  const folder = t.testdir()
  const port = await findFreePort()
  const script = `
    import { startServer } from ${JSON.stringify(resolve('src/process/embed.ts'))}
    const [before, exits] = [process.eventNames().length, process.listenerCount('exit')]
    const server = await startServer({
      settings: { port: ${port}, opsPort: ${await findFreePort()}, stateUrl: 'sqlite:data/state.db' },
      tls: ${JSON.stringify(material)},
      clients: ${JSON.stringify(demoRegistrations)},
    })
    const names = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'].filter(name => process.listenerCount(name) > 0)
    await server.close()
    console.log('closed', names.join())`
  const flags = ['--conditions=tlsbound-source', '--input-type=module-typescript', '-e', script]
  const { PATH = '' } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, flags, {
    cwd: folder,
    env: { PATH },
    encoding: 'utf8',
    timeout: 60_000,
  })
  t.equal(status, 0, stderr)
  t.match(stdout, /^closed \n$/m)
  t.notMatch(stdout, /SIG/)
})

/** Starts an app of its own with the plugin. */
async function embed(
  t: Test,
  {
    tls: tlsOptions = {},
    build = () => {},
    ...options
  }: Partial<Omit<AuthorizationServerOptions, 'tls'>> & {
    tls?: Partial<MutualTlsOptions>
    build?: (app: FastifyInstance) => unknown
  } = {},
) {
  const port = await findFreePort()
  const tls = mutualTls({ ...material, ...tlsOptions })
  const app = Fastify({ serverFactory: tls })
  t.teardown(() => app.close())
  const events: SecurityEvent[] = []
  await app.register(authorizationServer, {
    tls,
    clients: demoRegistrations,
    keys,
    store: openSqlite(':memory:'),
    onEvent: event => void events.push(event),
    ...options,
    settings: { issuer: `https://localhost:${port}`, ...options.settings },
  })
  app.get('/open', async () => 'open')
  await app.register(async scope => {
    await scope.register(app.authorizationServer.requireToken, { scope: 'notes:read' })
    routes(scope)
  })
  await build(app)
  await app.listen({ host: '127.0.0.1', port })
  return { app, tls, port, events, as: (who: 'alice' | 'bob') => connect(t, port, who) }
}

t.test('the plugin: tokens of level connection work on own routes of the app, on their connection only', async t => {
  const { as, events } = await embed(t)
  const alice = await as('alice')
  const token = await alice.token()
  t.match(await alice.get('/mine', token), { status: 200, body: { of: 'alice', binding: 'connection' } })
  t.match(await (await as('alice')).get('/mine', token), { status: 401, body: { reason: 'connection_mismatch' } })
  t.match(await (await as('bob')).get('/mine', token), { status: 401, body: { reason: 'certificate_mismatch' } })
  t.match(await alice.get('/mine'), { status: 401, body: { reason: 'no_token' } })
  t.match(await alice.get('/open'), { status: 200 }, 'a route outside of the protected scope')
  t.match(await alice.get('/api/whoami', token), { status: 404 }, 'nothing of the demo')
  t.match(await alice.get('/.well-known/oauth-authorization-server'), { status: 200, body: { token_endpoint: String } })
  t.match(await alice.get('/oauth/jwks'), { body: { keys: [{ kid: keys[0]?.kid }] } })
  t.match(await alice.get('/binding'), { status: 200 })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const post = (path: string) => alice.call(path, { method: 'POST', headers, body: `client_id=alice&token=${token}` })
  t.match(await post('/oauth/revoke'), { status: 200 })
  t.match(await alice.get('/mine', token), { status: 401, body: { reason: 'revoked' } }, 'own routes know it at once')
  t.match(events, [{ event: 'key.rotated' }, { event: 'token.issued' }, { event: 'token.refused' }])
})

t.test('the plugin refuses a request for another host, for its endpoints and for protected routes', async t => {
  const { as, port } = await embed(t)
  const alice = await as('alice')
  const token = await alice.token()
  const host = { host: `localhost:${port}` }
  t.match(await alice.call('/mine', { token, headers: host }), { status: 200 }, 'control')
  const other = { host: 'other.example' }
  t.match(await alice.call('/mine', { token, headers: other }), { status: 421 })
  t.match(await alice.call('/oauth/jwks', { headers: other }), { status: 421 })
})

t.test('the plugin: an app with parsers and an error handler of its own does not weaken the endpoints', async t => {
  const port = await findFreePort()
  const tls = mutualTls(material)
  const app = Fastify({ serverFactory: tls })
  t.teardown(() => app.close())
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async () => ({ admin: true }))
  app.setErrorHandler(async (_error, _request, reply) => reply.code(200).send('fine'))
  const store = openSqlite(':memory:')
  const settings = { issuer: `https://localhost:${port}` }
  await app.register(authorizationServer, { tls, settings, clients: demoRegistrations, keys, store, onEvent: () => {} })
  await app.register(async scope => {
    await scope.register(app.authorizationServer.requireToken, {})
    scope.get('/mine', async () => 'mine')
  })
  await app.listen({ host: '127.0.0.1', port })
  const alice = await connect(t, port, 'alice')
  t.match(await alice.requestToken(), { status: 200, body: { access_token: String } })
  const long = await (await connect(t, port, 'alice')).requestToken({ scope: 'x'.repeat(20_000) })
  t.match(long, { status: 413 }, 'the bound of forms')
  t.match(await alice.requestToken({ client_id: 'bob' }), { status: 401 })
  t.match(await alice.get('/mine'), { status: 401 })
  t.match(await alice.call('/mine', { headers: { host: 'other.example' } }), { status: 421 })
})

t.test('the plugin: a certificate that is registered itself is accepted, and one that is not is refused', async t => {
  const self = issueCertificate({ subject: [['CN', 'self']] })
  const other = issueCertificate({ subject: [['CN', 'self']] })
  const client = {
    client_id: 'self',
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [{ kty: 'EC', x5c: [self.certificate.replace(/-----.*?-----|\s/g, '')] }] },
    scope: 'notes:read',
    grant_types: ['client_credentials'],
    token_bindings: ['connection'],
  }
  const { port } = await embed(t, { clients: [client] })
  const connection = await connect(t, port, self, 'self')
  t.match(await connection.get('/mine', await connection.token()), { status: 200 })
  t.match(await (await connect(t, port, other, 'self')).requestToken(), { status: 401 })
})

t.test('the plugin closes the connections of a client that is disabled', async t => {
  const store = openSqlite(':memory:')
  const { as } = await embed(t, { store })
  const alice = await as('alice')
  t.match(await alice.get('/mine', await alice.token()), { status: 200 }, 'control')
  await store.disableClient('alice', JSON.stringify(demoRegistrations[0]))
  await until(() => alice.socket.destroyed)
  t.match(await (await as('alice')).requestToken(), { status: 401 })
})

t.test('the plugin names every wrong option, and settings that the app decides', async t => {
  const tls = mutualTls(material)
  const app = () => Fastify({ serverFactory: tls })
  const wrong = async (app: FastifyInstance, options: object, ...problems: RegExp[]) => {
    const error = await Promise.resolve(app.register(authorizationServer, options as AuthorizationServerOptions)).then(
      () => undefined,
      error => error,
    )
    t.ok(error instanceof TypeError, `${error}`)
    for (const problem of problems) t.match(error?.message, problem)
  }
  const good = { tls, settings: { issuer: 'https://localhost' }, clients: demoRegistrations, keys }
  await wrong(
    app(),
    { ...good, settings: { port: 8443, http2: false, audience: 'x' } },
    /settings\.port is not a setting of the issuer/,
    /settings\.http2 is not/,
    /settings\.issuer is required/,
    /settings\.audience must be/,
  )
  await wrong(app(), { ...good, tls: undefined }, /tls must be the result of mutualTls/)
  await wrong(Fastify(), good, /tls is not the listener of this app/)
  await wrong(Fastify({ serverFactory: mutualTls(material) }), good, /tls is not the listener of this app/)
  await wrong(app(), { ...good, prefix: '/auth' }, /without a prefix/)
})
