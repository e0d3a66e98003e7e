// Each refresh checks the client's registration and certificate again. OA16, N-41. A refusal changes nothing, so that the
// client can continue when its cause is gone.
import t from 'tap'
import { issueCertificate, issueCrl, startTestServer } from '../../../src/testing/server.ts'
import {
  claimsOf,
  contentsOf,
  putClient,
  refresh,
  register,
  startGrant,
  tokensOf,
} from '../../helpers/tokens/grants.ts'

const stored = register('alice', { scope: 'notes:read notes:write' })
const server = await startTestServer({
  clients: [register('bob'), register('carol', { refresh_token_binding: 'certificate' })],
})
t.teardown(() => server.close())
const put = (changes: object = {}, disabled = false) => putClient(server.store, { ...stored, ...changes }, disabled)
await put()
const alice = await server.connect('alice')

t.test('applies a reduced registration at the next refresh, on old and new connections (OA16)', async t => {
  const { refresh: token } = await startGrant(alice)
  let next = token
  const api = { resource: 'https://api.example' }
  const changes: [string, () => Promise<unknown>, number, string, object?][] = [
    ['the client is disabled', () => put({}, true), 401, 'client_disabled'],
    ['the client is removed', () => server.store.removeClient('alice'), 401, 'unknown_client'],
    ['a scope is removed', () => put({ scope: 'notes:read' }), 400, 'scope_denied'],
    ['every scope is removed', () => put({ scope: '' }), 400, 'scope_denied'],
    ['the level is removed', () => put({ token_bindings: ['certificate'] }), 400, 'binding_not_allowed'],
    ['the grant type is removed', () => put({ grant_types: ['client_credentials'] }), 400, 'grant_type_not_allowed'],
    ['the name is changed', () => put({ tls_client_auth_subject_dn: 'CN=alicia' }), 401, 'client_mismatch'],
    ['a secret is required', () => put({ token_endpoint_auth_method: 'client_secret_basic' }), 401, 'client_mismatch'],
    ['a part is invalid', () => put({ scope: ' ' }), 401, 'unknown_client'],
    ['the resource server is removed', async () => {}, 400, 'target_unknown', api],
  ]
  for (const [name, change, status, reason, wish = {}] of changes) {
    await change()
    const before = await contentsOf(server.store, [next])
    for (const connection of [alice, await server.connect('alice')])
      t.match(await refresh(connection, next, { ...wish }), { status, body: { reason } }, name)
    t.same(await contentsOf(server.store, [next]), before, 'nothing changes')
    await put()
    const answer = await refresh(alice, next)
    t.match(answer, { status: 200 }, 'control: works with its old registration')
    next = tokensOf(answer).refresh
  }
})

t.test('allows a refresh without a removed scope, which does not return by itself (N-41)', async t => {
  const { refresh: token } = await startGrant(alice)
  await put({ scope: 'notes:read' })
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'scope_denied' } })
  const less = await refresh(alice, token, { scope: 'notes:read' })
  t.match(less, { status: 200, body: { scope: 'notes:read' } })
  await put({ scope: 'notes:read notes:write notes:delete' })
  t.match(await refresh(alice, tokensOf(less).refresh), { status: 200, body: { scope: 'notes:read notes:write' } })
  await put()
})

t.test('refuses a refresh while the resource server of the grant is disabled, and accepts it afterwards', async t => {
  const resource = 'https://api.example'
  await putClient(server.store, register('api', { resource }))
  const { access, refresh: token } = await startGrant(alice, { resource })
  t.equal(claimsOf(access).aud, resource)
  t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'wrong_audience' } })
  await putClient(server.store, register('api', { resource }), true)
  const before = await contentsOf(server.store, [token])
  t.match(await refresh(alice, token), { status: 400, body: { error: 'invalid_target', reason: 'target_unknown' } })
  t.same(await contentsOf(server.store, [token]), before)
  await putClient(server.store, register('api', { resource }))
  const again = tokensOf(await refresh(alice, token))
  t.equal(claimsOf(again.access).aud, resource, 'for the same resource server')
  await server.store.removeClient('api')
})

t.test('refuses a refresh with a revoked or expired certificate (OA16)', async t => {
  const issuer = server.pki.ca
  const carols = issueCertificate({ subject: [['CN', 'carol']], issuer, extendedKeyUsage: ['clientAuth'] })
  const carol = await server.connect(carols, { clientId: 'carol' })
  const { refresh: token } = await startGrant(carol)
  const material = { cert: server.pki.server.certificate, key: server.pki.server.key, ca: issuer.certificate }
  const before = await contentsOf(server.store, [token])

  server.tls.reload({ ...material, crl: issueCrl({ issuer, revoked: [carols.x509] }) })
  for (const connection of [carol, await server.connect(carols, { clientId: 'carol' })])
    t.match(await refresh(connection, token), {
      status: 401,
      body: { error: 'invalid_client', reason: 'certificate_revoked' },
    })
  const renewed = issueCertificate({ subject: [['CN', 'carol']], issuer, extendedKeyUsage: ['clientAuth'] })
  const other = await server.connect(renewed, { clientId: 'carol' })
  t.match(
    await refresh(other, token),
    { status: 400, body: { reason: 'refresh_certificate_mismatch' } },
    'nor the next one',
  )
  t.match(await other.requestToken(), { status: 200 }, 'the next certificate gets a grant of its own')
  server.tls.reload(material)

  const home = server.clock
  const again = () => server.connect(carols, { clientId: 'carol' }) // since a connection ends with such a refusal
  server.clock = Math.floor(carols.x509.validToDate.getTime() / 1000) + 1
  t.match(await refresh(await again(), token), { status: 401, body: { reason: 'certificate_expired' } })
  server.clock = home
  t.same(await contentsOf(server.store, [token]), before)
  t.match(await refresh(await again(), token), { status: 200 }, 'control')
})

t.test('refuses a refresh after a revocation by client, by certificate or of everything', async t => {
  const bob = await server.connect('bob')
  const { clock } = server
  const thumbprint = (await bob.get('/binding')).body.certificate['x5t#S256']
  for (const [kind, value] of [
    ['client', 'bob'],
    ['certificate', thumbprint],
    ['all', ''],
  ] as const) {
    const { access, refresh: token } = await startGrant(bob)
    t.match(await bob.get('/api/whoami', access), { status: 200 }, kind)
    server.clock += 1
    await server.store.revoke({ kind, value, notBefore: server.clock, expires: clock + 90_000 })
    t.match(await refresh(bob, token), { status: 400, body: { reason: 'refresh_revoked' } })
    t.match(await bob.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
    const later = await startGrant(bob)
    t.match(await refresh(bob, later.refresh), { status: 200 }, 'a later grant works')
  }
})

t.test('keeps the resource server of the grant in a refresh, even if the client may use another', async t => {
  const resource = 'https://api.example'
  const own = await startTestServer({ clients: [register('bob'), register('api', { resource })] })
  t.teardown(() => own.close())
  const bob = await own.connect('bob')
  const { refresh: token } = await startGrant(bob)
  t.match(await bob.requestToken({ resource }), { status: 200 }, 'control: bob may request this target')
  const before = await contentsOf(own.store, [token])
  t.match(await refresh(bob, token, { resource }), {
    status: 400,
    body: { error: 'invalid_target', reason: 'target_unknown' },
  })
  t.same(await contentsOf(own.store, [token]), before, 'nothing changes')
  t.match(
    await refresh(bob, token, { resource: 'https://localhost:8443' }),
    { status: 200 },
    'control: the target of the grant',
  )
})
