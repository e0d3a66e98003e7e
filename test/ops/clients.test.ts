// Changes of a running server's clients through the ops listener: the effect of each at the mutual-TLS listener.
// OA16, PK26; RFC 8705 §2.
import { join } from 'node:path'
import t from 'tap'
import { demoRegistrations } from '../../src/process/demo.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { at, callOps, identityOf, registrationOf } from '../helpers/server/ops.ts'

type Teardown = Pick<typeof t, 'teardown'>

async function start(
  t: Teardown,
  {
    clients = [registrationOf('alice'), registrationOf('bob')],
    ...options
  }: Parameters<typeof startTestServer>[0] = {},
): Promise<TestServer> {
  const server = await startTestServer({ ops: true, clients, ...options })
  t.teardown(() => server.close())
  return server
}

const refused = (reason: string, error = 'invalid_client') => ({ status: 401, body: { error, reason } })
const revoked = refused('revoked', 'invalid_token')
const views = async (server: TestServer) => (await callOps(server, 'GET', '/admin/clients')).body.clients

t.test('lists the clients of the file as written, without secrets', async t => {
  const server = await start(t)
  const bob = { client_id: 'bob', disabled: false, origin: 'file', secrets: [], registration: registrationOf('bob') }
  const { status, body, text } = await callOps(server, 'GET', '/admin/clients')
  t.same(
    { status, body },
    { status: 200, body: { clients: [{ ...bob, client_id: 'alice', registration: registrationOf('alice') }, bob] } },
  )
  t.same((await callOps(server, 'GET', at('bob'))).body, bob)
  t.match(await callOps(server, 'GET', at('mallory')), { status: 404, body: { reason: 'unknown_client' } })
  t.notMatch(text, /hash|scrypt/)
})

t.test('serves an added client at once, on an existing connection', async t => {
  const server = await start(t)
  const mallory = await server.connect('mallory', { clientId: 'mallory' })
  t.match(await mallory.requestToken(), refused('unknown_client'))
  const added = await callOps(server, 'PUT', at('mallory'), { body: registrationOf('mallory') })
  t.match(added, { status: 201, body: { client_id: 'mallory', disabled: false, origin: 'store' } })
  const token = await mallory.token()
  t.match(await mallory.get('/api/whoami', token), { status: 200, body: { client_id: 'mallory' } })
  const bob = await server.connect('bob', { clientId: 'mallory' })
  t.match(await bob.requestToken(), refused('client_mismatch'), 'only with its own certificate')
  t.match(
    server.events.find(({ event }) => event === 'client.changed'),
    { outcome: 'success', client_id: 'mallory', change: 'added', peer: '127.0.0.1', path: '/admin/clients/mallory' },
  )
})

t.test('applies a replaced registration at once, and does not enable a disabled client', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  t.match(await alice.requestToken({ scope: 'notes:write' }), { status: 200 }, 'control')
  const narrow = registrationOf('alice', { scope: 'notes:read' })
  const replaced = await callOps(server, 'PUT', at('alice'), { body: narrow })
  t.match(replaced, { status: 200, body: { origin: 'store', registration: narrow } })
  t.match(await alice.requestToken({ scope: 'notes:write' }), { status: 400, body: { reason: 'scope_denied' } })
  t.match(await alice.requestToken(), { status: 200, body: { scope: 'notes:read' } })

  await callOps(server, 'PUT', at('alice'), {
    body: registrationOf('alice', { tls_client_auth_subject_dn: 'CN=other' }),
  })
  t.match(
    await alice.requestToken(),
    refused('client_mismatch'),
    'another name: the cached authentication of the connection is invalid',
  )
  await callOps(server, 'POST', at('alice', '/disable'))
  t.match(await callOps(server, 'PUT', at('alice'), { body: narrow }), { status: 200, body: { disabled: true } })
  t.match(await alice.requestToken(), refused('client_disabled'))
})

t.test('revokes what the client holds when its registration changes, and nothing when it is the same', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  const bobs = await (await server.connect('bob')).token()
  const put = async (changes: object) => {
    const since = server.events.length
    t.match(await callOps(server, 'PUT', at('alice'), { body: registrationOf('alice', changes) }), { status: 200 })
    return server.events.slice(since).map(({ event }) => event)
  }
  const hold = async () => {
    const { body } = await alice.requestToken({ scope: 'notes:read' })
    const refresh = () => alice.requestToken({ grant_type: 'refresh_token', refresh_token: body.refresh_token })
    return { use: () => alice.get('/api/whoami', body.access_token), refresh }
  }
  for (const changes of [
    { scope: 'notes:read' },
    { scope: 'notes:read notes:write' },
    { scope: 'notes:read', token_bindings: ['certificate'] },
    { scope: 'notes:read', access_token_format: 'opaque' },
    {},
  ]) {
    server.clock += 1
    const { use, refresh } = await hold()
    t.match(await use(), { status: 200 }, 'control')
    t.same(await put(changes), ['client.changed', 'token.revoked'], JSON.stringify(changes))
    t.match(await use(), revoked)
    t.match(await refresh(), { status: 400, body: { reason: 'refresh_revoked' } })
    server.clock += 1
    const next = await hold()
    t.same(await put(changes), ['client.changed'], 'the same again')
    t.match(await next.use(), { status: 200 })
    t.match(await next.refresh(), { status: 200 })
  }
  t.match(
    await (await server.connect('bob')).get('/api/whoami', bobs),
    { status: 200 },
    'other clients are not affected',
  )
})

t.test('serializes parallel changes, however slow the store is', async t => {
  const real = openSqlite(':memory:')
  const listClients: typeof real.listClients = async () => {
    const clients = await real.listClients()
    for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate) // it has not seen later changes
    return clients
  }
  const server = await start(t, { store: { ...real, listClients } })
  const put = (id: string, name: string) =>
    callOps(server, 'PUT', at(id), { body: registrationOf(id, { tls_client_auth_subject_dn: `CN=${name}` }) })
  const twins = await Promise.all([put('x', 'twin'), put('y', 'twin')])
  t.same(twins.map(({ status }) => status).sort(), [201, 400], 'one certificate, one client')
  for (const { status } of await Promise.all([callOps(server, 'POST', at('bob', '/disable')), put('bob', 'bob')]))
    t.equal(status, 200)
  t.match(await callOps(server, 'GET', at('bob')), { body: { disabled: true } }, 'replacing does not enable')
})

t.test('disables a stored registration that this version cannot read, and can replace it', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  t.match(await alice.requestToken(), { status: 200 }, 'control')
  const newer = JSON.stringify({ ...registrationOf('alice'), of_a_newer_version: true })
  await server.store.putClient('alice', newer)
  await server.store.putClient('mallory', newer.replaceAll('alice', 'mallory'))
  t.match(await alice.requestToken(), refused('client_disabled'))
  t.match(await callOps(server, 'GET', at('alice')), { body: { disabled: true } })
  t.match(await callOps(server, 'POST', at('alice', '/enable')), { body: { disabled: true } }, 'enabling has no effect')
  await callOps(server, 'POST', at('alice', '/disable'))
  const [record] = await server.store.listClients()
  t.equal(record?.registration, newer, 'disabling preserves the stored text')
  await callOps(server, 'PUT', at('alice'), { body: registrationOf('alice') })
  t.match(await callOps(server, 'POST', at('alice', '/enable')), { body: { disabled: false } })
  server.clock += 1
  t.match(await alice.requestToken(), { status: 200 })
  t.match(await callOps(server, 'GET', at('mallory')), { status: 404 })
  const since = server.events.length
  t.match(await callOps(server, 'DELETE', at('mallory')), { status: 200 }, 'an unreadable client can be removed')
  const events = [{ change: 'disabled' }, { event: 'token.revoked', value: 'mallory' }, { change: 'removed' }]
  t.match(server.events.slice(since), events, 'with what it holds')
})

t.test('rejects an invalid registration with all problems, and changes nothing', async t => {
  const server = await start(t)
  await callOps(server, 'POST', at('bob', '/disable'))
  const before = await views(server)
  const put = (id: string, body: unknown) => callOps(server, 'PUT', at(id), { body })
  t.match(await put('mallory', registrationOf('mallory')), { status: 201 }, 'control')
  t.match(await callOps(server, 'DELETE', at('mallory')), { status: 200 })
  const rows: [name: string, body: unknown, problems: RegExp[]][] = [
    [
      'several problems',
      { ...registrationOf('mallory', { scope: 'a  b', grant_types: ['password'] }), secret: 'x' },
      [/secret is not known/, /scope/, /grant_types/],
    ],
    ['another id', registrationOf('carol'), [/client_id must be the one in the path/]],
    ['no id', registrationOf('mallory', { client_id: undefined }), [/client_id must have/, /client_id must be/]],
    ['a list', [registrationOf('mallory')], [/must be a JSON object/, /client_id/]],
    ...['.', '..'].map((id): [string, unknown, RegExp[]] => [
      id,
      { ...registrationOf('mallory'), client_id: id },
      [/client_id .* not be \. or \.\./, /client_id must be the one/],
    ]),
    ['null', 'null', [/must be a JSON object/, /client_id/]],
    ['no certificate', registrationOf('mallory', { tls_client_auth_subject_dn: undefined }), [/exactly one/]],
    [
      'the certificate of alice',
      registrationOf('mallory', { tls_client_auth_subject_dn: 'CN=alice' }),
      [/would match alice/],
    ],
    [
      'that of bob, who is disabled',
      registrationOf('mallory', { tls_client_auth_subject_dn: 'CN=bob' }),
      [/would match bob/],
    ],
  ]
  for (const [name, body, problems] of rows) {
    const since = server.events.length
    const answer = await put('mallory', body)
    t.match(answer, { status: 400, body: { error: 'invalid_request', reason: 'malformed_request', problems } }, name)
    t.equal(answer.body.problems.length, problems.length, name)
    t.match(server.events.slice(since), [{ event: 'admin.refused', status: 400 }], name)
  }
  t.same(await views(server), before)
})

t.test('refuses a disabled client at once and revokes all that it holds, until it is enabled (OA16)', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  const bob = await server.connect('bob')
  const bobs = await bob.token()
  const { access_token: token, refresh_token } = (await alice.requestToken({ token_binding: 'connection' })).body
  const refresh = () => alice.requestToken({ grant_type: 'refresh_token', refresh_token })
  t.match(await alice.get('/api/whoami', token), { status: 200 }, 'control')

  const since = server.events.length
  const disabled = await callOps(server, 'POST', at('alice', '/disable'))
  t.match(disabled, {
    status: 200,
    body: { client_id: 'alice', disabled: true, registration: registrationOf('alice') },
  })
  t.match(server.events.slice(since), [
    { event: 'client.changed', change: 'disabled', client_id: 'alice' },
    { event: 'token.revoked', kind: 'client', value: 'alice', client_id: undefined },
  ])
  t.match(await alice.get('/api/whoami', token), revoked, 'remembered on its connection, and revoked')
  t.match(await alice.requestToken(), refused('client_disabled'))
  t.match(await refresh(), refused('client_disabled'))
  t.equal(alice.socket.destroyed, false, 'the connection stays open')
  t.match(await bob.get('/api/whoami', bobs), { status: 200 }, 'bob is not affected')
  const again = server.events.length
  t.match(await callOps(server, 'POST', at('alice', '/disable')), { status: 200 }, 'repeating it is no error')
  const events = server.events.slice(again).map(({ event }) => event)
  t.same(events, ['token.revoked'], 'and revokes again, in case that failed the first time')

  t.match(await callOps(server, 'POST', at('alice', '/enable')), { status: 200, body: { disabled: false } })
  t.match(await alice.get('/api/whoami', token), revoked, 'revoked tokens stay revoked')
  t.match(await refresh(), { status: 400, body: { error: 'invalid_grant', reason: 'refresh_revoked' } })
  server.clock += 1
  t.match(await alice.get('/api/whoami', await alice.token()), { status: 200 }, 'a new token works')
  const changes = server.events.length
  t.match(await callOps(server, 'POST', at('alice', '/enable')), { status: 200 }, 'repeating it is no error')
  t.equal(server.events.length, changes, 'and records no event')
  for (const action of ['/disable', '/enable'])
    t.match(await callOps(server, 'POST', at('nobody', action)), { status: 404, body: { reason: 'unknown_client' } })
})

t.test('keeps a client of the file disabled after a restart', async t => {
  const path = join(t.testdir(), 'state.db')
  const first = await startTestServer({ ops: true, store: openSqlite(path) })
  await callOps(first, 'POST', at('bob', '/disable'))
  await first.close()
  const second = await start(t, { store: openSqlite(path), clients: demoRegistrations, pki: first.pki })
  t.match(await (await second.connect('alice')).requestToken(), { status: 200 }, 'control')
  t.match(await (await second.connect('bob')).requestToken(), refused('client_disabled'))
})

t.test('revokes everything of a removed client, so that a new one with its name inherits nothing', async t => {
  const server = await start(t)
  const id = 'mallory'
  const body = registrationOf(id)
  const withSecret = registrationOf(id, { token_endpoint_auth_method: 'client_secret_basic' })
  await callOps(server, 'PUT', at(id), { body: withSecret })
  t.match(await callOps(server, 'POST', at(id, '/secrets')), { status: 201 })
  await callOps(server, 'PUT', at(id), { body })
  const mallory = await server.connect('mallory', { clientId: id })
  const token = await mallory.token()
  t.match(await mallory.get('/api/whoami', token), { status: 200 }, 'control')

  const since = server.events.length
  t.match(await callOps(server, 'DELETE', at(id)), { status: 200, body: { client_id: id, removed: true } })
  t.match(server.events.slice(since), [
    { change: 'disabled' },
    { event: 'token.revoked', kind: 'client', value: id },
    { event: 'client.changed', change: 'removed', client_id: id },
  ])
  t.match(await mallory.get('/api/whoami', token), revoked)
  t.match(await mallory.requestToken(), refused('unknown_client'))
  t.match(await callOps(server, 'DELETE', at(id)), { status: 404, body: { reason: 'unknown_client' } })
  t.match(await callOps(server, 'GET', at(id)), { status: 404 })

  t.match(await callOps(server, 'PUT', at(id), { body }), { status: 201, body: { disabled: false, secrets: [] } })
  t.match(await mallory.get('/api/whoami', token), revoked, 'the old token is not valid for the new client')
  server.clock += 1
  t.match(await mallory.get('/api/whoami', await mallory.token()), { status: 200 })
})

t.test('does not remove a client of the file, since it would return; nor its disabled copy', async t => {
  const server = await start(t)
  const alice = await server.connect('alice')
  const fromFile = { status: 409, body: { reason: 'malformed_request', problems: [/clients file/] } }
  t.match(await callOps(server, 'DELETE', at('alice')), fromFile)
  t.match(await alice.requestToken(), { status: 200 })
  await callOps(server, 'POST', at('alice', '/disable'))
  t.match(await callOps(server, 'DELETE', at('alice')), fromFile)
  t.match(await alice.requestToken(), refused('client_disabled'))
})

t.test('trusts a self-signed certificate while its client is enabled (RFC 8705 §2.2)', async t => {
  const server = await start(t)
  const { stranger } = server.pki
  const x5c = [stranger.x509.raw.toString('base64')]
  const method = { token_endpoint_auth_method: 'self_signed_tls_client_auth', tls_client_auth_subject_dn: undefined }
  const body = registrationOf('pinned', { ...method, jwks: { keys: [{ x5c }] } })
  const request = async () => (await server.connect('stranger', { clientId: 'pinned' })).requestToken()
  t.match(await request(), refused('certificate_untrusted'))
  t.match(await callOps(server, 'PUT', at('pinned'), { body }), { status: 201 })
  t.match(await request(), { status: 200 })
  const rival = registrationOf('rival', { ...method, jwks: { keys: [{ x5c }] } })
  t.match(await callOps(server, 'PUT', at('rival'), { body: rival }), { status: 400, body: { problems: [/pinned/] } })
  const disabled = await callOps(server, 'POST', at('pinned', '/disable'))
  t.match(disabled.body.registration, { jwks: { keys: [{ x5c }] } }, 'the copy has the certificate')
  t.match(await request(), refused('certificate_untrusted'))
  await callOps(server, 'POST', at('pinned', '/enable'))
  t.match(await request(), { status: 200 })
})

t.test('administers every client_id, whatever characters it has', async t => {
  const server = await start(t)
  for (const id of ['a/b', 'a b%41?#', '%', '...', '%2e', '"><script>', '/'.repeat(128), '~'.repeat(128)]) {
    const body = registrationOf(id, {
      tls_client_auth_subject_dn: `CN=${Buffer.from(id).toString('hex').slice(0, 60)}`,
    })
    t.match(await callOps(server, 'PUT', at(id), { body }), { status: 201, body: { client_id: id } }, id)
    t.match(await callOps(server, 'POST', at(id, '/disable')), { status: 200, body: { disabled: true } }, id)
    t.match(await callOps(server, 'DELETE', at(id, `/secrets/${encodeURIComponent(id)}`)), { status: 404 }, id)
    t.match(await callOps(server, 'DELETE', at(id)), { status: 200, body: { client_id: id } }, id)
  }
  t.equal((await views(server)).length, 2)
})

t.test('issues no lasting token for a request in progress while its client is disabled', async t => {
  const real = openSqlite(':memory:')
  let waiting = () => {}
  let open = () => {}
  const gate = new Promise<void>(resolve => (open = resolve))
  const arrived = new Promise<void>(resolve => (waiting = resolve))
  const createGrant: typeof real.createGrant = async (...grant) => {
    waiting()
    await gate
    return real.createGrant(...grant)
  }
  const server = await start(t, { store: { ...real, createGrant } })
  const alice = await server.connect('alice')
  const answer = alice.requestToken()
  await arrived
  t.match(await callOps(server, 'POST', at('alice', '/disable')), { status: 200 })
  server.clock += 1 // the second of the mark has passed
  open()
  const { status, body } = await answer
  t.match(
    status === 200 ? await alice.get('/api/whoami', body.access_token) : { status: 401 },
    { status: 401 },
    'refused, or revoked on arrival',
  )
})

t.test('disables a client for all certificates with its name', async t => {
  const server = await start(t)
  const renewed = await server.connect(identityOf(server, 'alice'))
  const token = await renewed.token()
  t.match(await renewed.get('/api/whoami', token), { status: 200 }, 'control')
  await callOps(server, 'POST', at('alice', '/disable'))
  t.match(await renewed.get('/api/whoami', token), revoked)
  t.match(await renewed.requestToken(), refused('client_disabled'))
})

t.test('refuses a resource that is another spelling of a known one, and names both', async t => {
  const resource = 'https://backend.example'
  const server = await start(t, { clients: [registrationOf('alice', { resource }), registrationOf('bob')] })
  const put = (id: string, changes: object) => callOps(server, 'PUT', at(id), { body: registrationOf(id, changes) })
  t.match(await put('bob', { resource: `${resource}/` }), {
    status: 400,
    body: {
      problems: [/^resource https:\/\/backend\.example\/ is another spelling of https:\/\/backend\.example, the/],
    },
  })
  t.match(await put('bob', { resource: 'https://localhost:8443/' }), {
    status: 400,
    body: {
      problems: [/is another spelling of https:\/\/localhost:8443, the audience of this server; write both alike$/],
    },
  })
  t.match(await put('bob', { resource }), { status: 200 }, 'control: the same spelling')
  t.match(await put('bob', {}), { status: 200 })
  t.match(await put('alice', { resource: `${resource}/` }), { status: 200 }, 'control: a client may change its own')
  t.match(await put('bob', { resource }), { status: 400 }, 'and then that is the known one')
  await t.rejects(
    start(t, { clients: [registrationOf('alice', { resource }), registrationOf('bob', { resource: `${resource}/` })] }),
    { message: /client bob: resource https:\/\/backend\.example\/ is another spelling of/ },
    'at the start too',
  )
})
