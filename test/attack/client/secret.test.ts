// client_secret_basic: a secret in addition to the certificate, only in the Authorization header, never instead of the
// certificate. OA02, OA32, N-38, N-40; RFC 6749 §2.3.1, §5.2.
import t from 'tap'
import type { Reason } from '../../../src/core/errors.ts'
import { hashSecret } from '../../../src/server/clients/client-secret.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { contentsOf, post, register } from '../../helpers/tokens/grants.ts'

t.setTimeout(120_000) // each attempt takes a tenth of a second, more while other tests run
const id = 'dora & co: 50% (+)'
const withSecret = (id: string) => register(id, { token_endpoint_auth_method: 'client_secret_basic' })
const clients = [
  register('alice'),
  withSecret('dora'),
  withSecret('emil'),
  { ...withSecret(id), tls_client_auth_subject_dn: 'CN=odd' },
]
const server = await startTestServer({ clients })
t.teardown(() => server.close())
const secret = 'correct horse: battery+staple/%=& ä'
const hash = await hashSecret(secret)
for (const client of ['dora', id]) await server.store.putSecret(client, 'one', hash)

const encode = (text: string) => new URLSearchParams({ x: text }).toString().slice(2)
const basic = (client: string, given: string) =>
  `Basic ${Buffer.from(`${encode(client)}:${encode(given)}`).toString('base64')}`
const as = (name: string, clientId = name) => {
  const { ca } = server.pki
  const certificate = issueCertificate({
    subject: [['CN', name]],
    issuer: ca,
    extendedKeyUsage: ['clientAuth'],
    notBefore: new Date(Date.now() - 86_400_000), // the clock is set back here
  })
  return server.connect(certificate, { clientId })
}
const ask = (connection: TestConnection, authorization: string | undefined, form: Record<string, string> = {}) =>
  post(
    connection,
    '/oauth/token',
    { grant_type: 'client_credentials', ...form },
    authorization === undefined ? {} : { authorization },
  )
const asBasic = (reason: Reason) => ({
  ...refusal(reason, 'invalid_client'),
  headers: { 'www-authenticate': /^Basic realm="/ }, // a refused Basic request is challenged with Basic (N-40)
})
const mismatch = asBasic('client_mismatch')
/** Advances the clock past every delay after failed attempts. */
const wait = () => {
  server.clock += 90
}
const dora = await as('dora')

t.test('accepts the right secret with the right certificate, with or without client_id in the form', async t => {
  for (const form of [{}, { client_id: 'dora' }]) {
    const answer = await ask(dora, basic('dora', secret), form)
    t.match(answer, { status: 200, body: { access_token: String, refresh_token: String } })
    t.match(await dora.get('/api/whoami', answer.body.access_token), { status: 200, body: { client_id: 'dora' } })
  }
  t.match(
    await ask(dora, basic('dora', secret).replace('Basic', 'basic')),
    { status: 200 },
    'the scheme is case-insensitive',
  )
  t.match(await ask(await as('odd', id), basic(id, secret)), { status: 200 }, 'a percent-encoded id')
})

t.test('requires the secret in each request of a connection', async t => {
  const { refresh } = (({ body }) => ({ refresh: body.refresh_token }))(await ask(dora, basic('dora', secret)))
  const before = await contentsOf(server.store, [refresh])
  for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
    wait()
    const form = { client_id: 'dora', token: refresh, grant_type: 'refresh_token', refresh_token: refresh }
    t.match(
      await post(dora, path, form),
      { status: 401, body: { error: 'invalid_client', reason: 'client_mismatch' } },
      path,
    )
  }
  t.same(await contentsOf(server.store, [refresh]), before)
  wait()
  const form = { grant_type: 'refresh_token', refresh_token: refresh }
  t.match(await ask(dora, basic('dora', secret), form), { status: 200 })
})

t.test('rejects wrong secrets, however similar, with one event that names the client (N-40)', async t => {
  for (const wrong of ['', secret.slice(0, -1), `${secret}\0`, 'x'.repeat(257), hash]) {
    wait()
    const events = server.events.length
    t.match(await ask(dora, basic('dora', wrong), { client_id: 'dora' }), mismatch, JSON.stringify(wrong).slice(0, 20))
    t.match(server.events.slice(events), [{ event: 'client.refused', client_id: 'dora', reason: 'client_mismatch' }])
    t.equal(server.events.length, events + 1)
  }
  wait()
  t.match(await ask(dora, basic('dora', secret)), { status: 200 }, 'control')
  wait()
  t.match(await ask(await as('emil'), basic('emil', secret)), mismatch, 'a client without a secret')
})

t.test('names the client of the Authorization header in a refusal', async t => {
  wait()
  t.match(await ask(dora, basic('dora', 'wrong')), { status: 401 })
  t.match(server.events.at(-1), { event: 'client.refused', client_id: 'dora' })
  wait()
})

t.test('rejects the right secret without the right certificate (ASVS 10.4.16)', async t => {
  for (const [who, reason] of [
    [null, 'no_certificate'],
    ['stranger', 'certificate_untrusted'],
    ['mallory', 'client_mismatch'],
    ['alice', 'client_mismatch'],
  ] as const)
    t.match(await ask(await server.connect(who), basic('dora', secret)), asBasic(reason), `${who}`)
  t.match(await ask(await as('emil'), basic('dora', secret)), mismatch)
  t.match(await ask(dora, basic('dora', secret)), { status: 200 }, 'such attempts lock out no client')
})

t.test('rejects a secret outside the header, or two authentication methods at once, as malformed (N-38)', async t => {
  const alice = await server.connect('alice')
  const malformed = { status: 400, body: { error: 'invalid_request', reason: 'malformed_request' } }
  const good = basic('dora', secret)
  const token = await alice.token()
  const rows: [string, string | undefined, Record<string, string>][] = [
    ['in the body', undefined, { client_id: 'dora', client_secret: secret }],
    ['in both', good, { client_secret: secret }],
    ['with an assertion', good, { client_assertion: 'x' }],
    ['another client_id in the body', good, { client_id: 'alice' }],
    ['another client_id in the header', basic('alice', secret), { client_id: 'dora' }],
    ['a bearer token', `Bearer ${token}`, { client_id: 'dora' }],
    ['another scheme', 'Negotiate x', { client_id: 'dora' }],
    ['nothing after the scheme', 'Basic', { client_id: 'dora' }],
    ['no colon', `Basic ${Buffer.from('dora').toString('base64')}`, { client_id: 'dora' }],
    ['no base64', 'Basic ####', { client_id: 'dora' }],
    ['two of them', `${good}, ${good}`, { client_id: 'dora' }],
    ['nobody', undefined, {}],
  ]
  for (const [name, authorization, form] of rows) t.match(await ask(dora, authorization, form), malformed, name)
  const inQuery = await post(dora, `/oauth/token?client_secret=${encode(secret)}`, {
    client_id: 'dora',
    grant_type: 'client_credentials',
  })
  t.match(inQuery, malformed)
  t.match(await ask(alice, basic('alice', secret)), malformed, 'a client that is registered without a secret')
  t.match(await ask(alice, basic('alice', ''), { client_id: 'alice' }), malformed)
  t.match(await ask(dora, good), { status: 200 }, 'control')
})

t.test('rejects two Authorization headers, whatever they contain', async t => {
  const alice = await server.connect('alice')
  wait()
  for (const pair of [
    [basic('dora', secret), basic('dora', 'x')],
    [basic('dora', secret), `Bearer ${await alice.token()}`],
  ]) {
    const connection = await as('dora')
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: pair }
    const answer = await connection.call('/oauth/token', {
      method: 'POST',
      headers,
      body: 'grant_type=client_credentials',
    })
    t.match(answer, { status: 400, body: { reason: 'malformed_request' } })
    wait()
  }
})

t.test('ignores secrets at resources', async t => {
  const alice = await server.connect('alice')
  for (const connection of [dora, alice])
    t.match(await connection.call('/api/whoami', { headers: { authorization: basic('dora', secret) } }), {
      status: 401,
      body: { reason: 'no_token' },
    })
})

t.test('accepts two secrets during a rotation, and rejects the old one after its removal', async t => {
  const next = 'the next one'
  await server.store.putSecret('dora', 'two', await hashSecret(next))
  for (const good of [secret, next]) t.match(await ask(dora, basic('dora', good)), { status: 200 }, good)
  await t.rejects(server.store.putSecret('dora', 'three', hash), { name: 'ConflictError' })
  await server.store.removeSecret('dora', 'one')
  t.match(await ask(dora, basic('dora', secret)), mismatch)
  wait()
  t.match(await ask(dora, basic('dora', next)), { status: 200 })
  await server.store.putSecret('dora', 'one', hash)
})

t.test('delays guesses for that client only, and serves its owner meanwhile (OA32)', async t => {
  wait()
  t.match(await ask(dora, basic('dora', 'guess')), mismatch)
  const started = performance.now()
  const events = server.events.length
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => ask(dora, basic('dora', index === 99 ? secret : `guess ${index}`))),
  )
  t.equal(answers.pop()?.status, 200, 'the earlier secret')
  t.same([...new Set(answers.map(({ status }) => status))], [401], 'no attempt is verified during the delay')
  t.ok(performance.now() - started < 5000, 'so no hash is computed')
  t.match(await ask(await as('odd', id), basic(id, secret)), { status: 200 }, 'other clients are not delayed')
  const details = server.events.slice(events).flatMap(({ detail }) => detail ?? [])
  t.same(details, Array(99).fill('secret_delayed'))

  const thief = await as('dora')
  for (let second = 0; second < 100; second++, server.clock++) {
    t.match(await ask(thief, basic('dora', `guess ${second}`)), mismatch)
    t.match(await ask(dora, basic('dora', secret)), { status: 200 }, `after ${second} s`)
  }
  await server.store.disableClient('dora', JSON.stringify(withSecret('dora')))
  t.match(await ask(dora, basic('dora', secret)), asBasic('client_disabled'))
  await server.store.enableClient('dora')
  t.match(await ask(dora, basic('dora', secret)), mismatch, 'a disabled client is delayed too')
  wait()
  t.match(await ask(dora, basic('dora', secret)), { status: 200 })
})

t.test('locks no client out when the clock is set back (RE09)', async t => {
  wait()
  t.match(await ask(dora, basic('dora', 'guess')), mismatch)
  server.clock -= 7200
  wait()
  t.match(await ask(dora, basic('dora', secret)), { status: 200 })
  server.clock += 7200
  wait()
})

t.test('accepts concurrent requests of one client', async t => {
  const second = await as('dora')
  const answers = await Promise.all([dora, second].map(connection => ask(connection, basic('dora', secret))))
  t.same(
    answers.map(({ status, body }) => body.reason ?? status),
    [200, 200],
  )
  wait()
})

t.test('logs no secret, no hash of a secret and no header (I4)', async t => {
  const written = JSON.stringify(server.events) + server.log.join('')
  for (const text of [secret, encode(secret), hash, hash.split('$')[2] as string, basic('dora', secret).slice(6)])
    t.notOk(written.includes(text))
  const listed = JSON.stringify(await server.store.listClients())
  t.notOk(listed.includes(secret))
})
