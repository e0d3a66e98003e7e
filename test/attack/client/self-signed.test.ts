// self_signed_tls_client_auth: a self-signed certificate is accepted if it is registered itself, octet by octet, and only for
// that client. N-21, N-23, PK01, PK17, OA16; RFC 8705 §2.2.
import t from 'tap'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { refusal, refuseEach, refusePresenter } from '../../helpers/server/refusals.ts'
import {
  contentsOf,
  introspect,
  putClient,
  refresh,
  register,
  revoke,
  startGrant,
  tokensOf,
} from '../../helpers/tokens/grants.ts'

const selfSigned = (name: string, changes: Partial<Parameters<typeof issueCertificate>[0]> = {}): Identity =>
  issueCertificate({ subject: [['CN', name]], ...changes })
const keysOf = (...identities: Identity[]) => ({
  keys: identities.map(({ x509 }) => ({ x5c: [x509.raw.toString('base64')] })),
})
const pin = (id: string, ...identities: Identity[]) => {
  const { tls_client_auth_subject_dn: _, ...rest } = register(id)
  return { ...rest, token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: keysOf(...identities) }
}
const hour = 3_600_000
const anna = selfSigned('anna')
const annas = [anna, selfSigned('anna', { keyType: 'rsa' })] as const
const twin = selfSigned('alice') // has the name of a client with a certificate of the authority
const past = selfSigned('past', { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) })
const future = selfSigned('future', {
  notBefore: new Date(Date.now() + hour),
  notAfter: new Date(Date.now() + 2 * hour),
})
const clients = [register('alice'), pin('anna', ...annas), pin('twin', twin), pin('past', past), pin('future', future)]
const server = await startTestServer({ clients })
t.teardown(() => server.close())
const as = (identity: Identity, clientId: string, options: object = {}) =>
  server.connect(identity, { clientId, ...options })
const alice = await server.connect('alice')

t.test('accepts each registered certificate of a client, over HTTP/1.1 and HTTP/2 (N-23)', async t => {
  for (const identity of annas)
    for (const options of [{}, { ALPNProtocols: ['h2'] }]) {
      const connection = await as(identity, 'anna', options)
      t.match(await connection.get('/binding'), { body: { certificate: { subject: 'CN=anna', 'x5t#S256': String } } })
      t.equal((await connection.get('/binding')).body.certificate.reason, undefined)
      const answer = await connection.requestToken()
      t.match(answer, { status: 200, body: { token_binding: 'connection', refresh_token: String } })
      t.match(await connection.get('/api/whoami', answer.body.access_token), {
        status: 200,
        body: { client_id: 'anna' },
      })
    }
})

t.test('binds tokens to a self-signed certificate as to any other', async t => {
  const connection = await as(anna, 'anna')
  const token = await connection.token()
  const portable = await connection.token({ token_binding: 'certificate' })
  const second = await as(anna, 'anna')
  t.match(await connection.get('/api/whoami', token), { status: 200 })
  t.match(await second.get('/api/whoami', portable), { status: 200 })
  await refuseEach(t, server, second, [['another connection', token, 'connection_mismatch']])
  for (const other of [alice, await as(annas[1], 'anna'), await as(twin, 'twin')])
    await refuseEach(t, server, other, [
      ['another certificate', token, 'certificate_mismatch'],
      ['another certificate, for a certificate-bound token', portable, 'certificate_mismatch'],
    ])
  const grant = await startGrant(connection)
  t.match(await refresh(await as(annas[1], 'anna'), grant.refresh), {
    body: { reason: 'refresh_certificate_mismatch' },
  })
  const next = tokensOf(await refresh(second, grant.refresh))
  t.match(await second.get('/api/whoami', next.access), { status: 200 })
  t.match(await revoke(connection, next.access, 'anna'), { status: 200 })
  t.match(await second.get('/api/whoami', next.access), refusal('revoked'))
})

t.test('rejects every other certificate, however similar (PK01, PK17, N-23)', async t => {
  const { subject, x509 } = anna
  const dates = { notBefore: x509.validFromDate, notAfter: x509.validToDate }
  const authority = issueCertificate({ subject, ca: true })
  const likes: [string, Identity][] = [
    ['same subject, another key', selfSigned('anna')],
    ['same subject and key, reissued', selfSigned('anna', { keyPair: anna, ...dates })],
    ['issued by an authority of the same name', issueCertificate({ subject, issuer: authority, keyPair: anna })],
    ['an authority of that name', authority],
    ["the client authority's name", issueCertificate({ subject: server.pki.ca.subject, ca: true })],
    ['not registered at all', selfSigned('nobody')],
    ['the name of alice', selfSigned('alice')],
    ['issued by the registered certificate', issueCertificate({ subject: [['CN', 'alice']], issuer: anna })],
  ]
  const stolen = await alice.token({ token_binding: 'certificate' })
  for (const [name, identity] of likes)
    await refusePresenter(t, server, identity, 'certificate_untrusted', name, { stolen })
  const chained = issueCertificate({ subject: [['CN', 'alice']], issuer: anna, extendedKeyUsage: ['clientAuth'] })
  const chain = { cert: chained.certificate + anna.certificate }
  await refusePresenter(t, server, chained, 'certificate_untrusted', 'with the registered one as its issuer', {
    ...chain,
    stolen,
  })
  await t.rejects(server.connect({ ...anna, key: selfSigned('anna').key }), 'its certificate without its key')
})

t.test('never accepts a self-signed certificate for the client whose name it has', async t => {
  const connection = await as(twin, 'twin')
  t.match(await connection.requestToken(), { status: 200 }, 'control: it is registered')
  const { access, refresh: token } = await startGrant(alice)
  const before = await contentsOf(server.store, [token])
  for (const other of [connection, await as(twin, 'alice')]) {
    t.match(await other.requestToken({ client_id: 'alice' }), refusal('client_mismatch', 'invalid_client'))
    t.match(await refresh(other, token, { client_id: 'alice' }), refusal('client_mismatch', 'invalid_client'))
    t.match(await revoke(other, access, 'alice'), refusal('client_mismatch', 'invalid_client'))
    t.match(await introspect(other, access, 'alice'), refusal('client_mismatch', 'invalid_client'))
    t.match(await other.get('/api/whoami', access), refusal('certificate_mismatch'))
  }
  t.match(await connection.requestToken(), { status: 200 }, 'the connection still works for its own client')
  for (const id of ['anna', 'past'])
    t.match(await connection.requestToken({ client_id: id }), refusal('client_mismatch', 'invalid_client'), id)
  t.match(
    await alice.requestToken({ client_id: 'twin' }),
    refusal('client_mismatch', 'invalid_client'),
    'nor the reverse',
  )
  t.same(await contentsOf(server.store, [token]), before)
})

t.test('rejects an expired or future certificate, in the handshake and on an open connection', async t => {
  for (const identity of [past, future]) {
    const id = identity === past ? 'past' : 'future'
    await refusePresenter(t, server, identity, 'certificate_expired', id, { clientId: id })
  }
  const connection = await as(anna, 'anna')
  const second = await as(anna, 'anna') // since a connection ends with such a refusal
  const { access, refresh: token } = await startGrant(connection)
  const home = server.clock
  server.clock = Math.floor(anna.x509.validToDate.getTime() / 1000)
  t.match(await connection.requestToken(), { status: 200 }, 'its last second')
  server.clock += 1
  t.match(await refresh(second, token), refusal('certificate_expired', 'invalid_client'))
  t.match(await connection.get('/api/whoami', access), refusal('certificate_expired'))
  server.clock = home
  t.match(await refresh(await as(anna, 'anna'), token), { status: 200 })
})

t.test('applies changes of registered certificates while the server runs (OA16)', async t => {
  const [eve, eve2] = [selfSigned('eve'), selfSigned('eve')]
  const put = (disabled: boolean, ...identities: Identity[]) =>
    putClient(server.store, pin('eve', ...identities), disabled)
  await refusePresenter(t, server, eve, 'certificate_untrusted', 'before', { clientId: 'eve' })
  await put(false, eve)
  const connect = () => as(eve, 'eve')
  // Several, since a refused certificate ends its connection.
  const [live, second, third] = [await connect(), await connect(), await connect()]
  const { refresh: token } = await startGrant(live)
  t.match(await live.requestToken(), { status: 200 })

  await put(true, eve)
  t.match(await live.requestToken(), { status: 401, body: { error: 'invalid_client' } }, 'disabled')
  t.match(await (await connect()).requestToken(), { status: 401, body: { error: 'invalid_client' } })
  await put(false, eve2)
  t.match(await second.requestToken(), { status: 401, body: { error: 'invalid_client' } }, 'its key was replaced')
  t.match(await refresh(third, token), { status: 401, body: { error: 'invalid_client' } })
  await refusePresenter(t, server, eve, 'certificate_untrusted', 'on a new connection', { clientId: 'eve' })
  t.match(await (await as(eve2, 'eve')).requestToken(), { status: 200 }, 'the next certificate is accepted')
  await put(false, eve, eve2)
  const again = await connect()
  t.match(await again.requestToken(), { status: 200 }, 'both are accepted')
  t.match(await refresh(again, token), { status: 200 })
  await server.store.removeClient('eve')
  t.match(await again.requestToken(), { status: 401, body: { error: 'invalid_client' } })
  await refusePresenter(t, server, eve, 'certificate_untrusted', 'after', { clientId: 'eve' })
})

t.test('rejects tokens on an open connection whose certificate is no longer registered', async t => {
  const eve = selfSigned('eve')
  const put = (...identities: Identity[]) => putClient(server.store, pin('eve', ...identities))
  await put(eve)
  const live = await as(eve, 'eve')
  const token = await live.token()
  t.match(await live.get('/api/whoami', token), { status: 200 })
  await put(selfSigned('eve'))
  t.match(
    await live.get('/api/whoami', token),
    refusal('certificate_untrusted'),
    'as after a reload without its authority',
  )
  await put(eve)
  t.match(await (await as(eve, 'eve')).requestToken(), { status: 200 })
  await server.store.removeClient('eve')
})

t.test('keeps registered certificates when authorities and revocation lists are reloaded', async t => {
  const { server: own, ca } = server.pki
  const live = await as(anna, 'anna')
  const token = await live.token()
  server.tls.reload({
    cert: own.certificate,
    key: own.key,
    ca: issueCertificate({ subject: [['CN', 'x']], ca: true }).certificate,
  })
  t.match(
    await (await server.connect('alice')).requestToken(),
    refusal('certificate_untrusted', 'invalid_client'),
    'control: the authority is removed',
  )
  t.match(await live.get('/api/whoami', token), { status: 200 })
  t.match(await (await as(anna, 'anna')).requestToken(), { status: 200 })
  server.tls.reload({ cert: own.certificate, key: own.key, ca: ca.certificate })
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 })
})

t.test('keeps connections with registered certificates where others are dropped', async t => {
  const strict = await startTestServer({ clients, pki: server.pki, env: { TLSBOUND_TLS_DROP_UNACCEPTABLE: 'on' } })
  t.teardown(() => strict.close())
  const connection = await strict.connect(anna, { clientId: 'anna' })
  t.match(await connection.get('/api/whoami', await connection.token()), { status: 200 })
  const other = await strict.connect(selfSigned('anna'))
  await t.rejects(other.requestToken())
  t.match(strict.events.at(-1), { event: 'connection.refused', reason: 'certificate_untrusted' })
})
