// POST /leaks: a report of a leaked token revokes it with its grant, once and with one event. Reporters sign like GitHub,
// or are clients with the required scope. N-64, OA27, I5.
import { createPublicKey, randomBytes } from 'node:crypto'
import t from 'tap'
import { redactTokens } from '../../src/core/leak-report.ts'
import { isSignedBy } from '../../src/core/leak-signature.ts'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { type Identity, issueCertificate, startTestServer } from '../../src/testing/server.ts'
import { runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { claimsOf, contentsOf, refresh, register, revoke, startGrant } from '../helpers/tokens/grants.ts'
import {
  accepted,
  entry,
  leaksOf,
  makeReporter,
  pemOf,
  publicKeys,
  reportOf,
  send,
  sendSigned,
  trustReporters,
} from '../helpers/tokens/leaks.ts'

// The vector of N-64.
const vector = {
  key: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUqkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==',
  body: '[{"token":"some_token","type":"some_type","url":"some_url"}]',
  signature: 'MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=',
}
const vectorKey = createPublicKey({ key: Buffer.from(vector.key, 'base64'), format: 'der', type: 'spki' })
const reporter = makeReporter()
const keys = publicKeys(reporter, { identifier: 'vector', publicPem: pemOf(vectorKey) })

const clients = [
  register('alice'),
  register('olga', { access_token_format: 'opaque' }),
  register('plain', { grant_types: ['client_credentials'] }),
  register('pale', { grant_types: ['client_credentials'], access_token_format: 'opaque' }),
  register('petra', { access_token_format: 'paseto' }),
  register('pia', { grant_types: ['client_credentials'], access_token_format: 'paseto' }),
  register('dora'),
  register('scanner', { scope: 'leaks:report notes:read', grant_types: ['client_credentials'] }),
]
const signingKeys = [await generateTokenKey('ES256'), await generateTokenKey('v4.public')]
const server = await startTestServer({ clients, signingKeys, env: trustReporters(t.testdir(), keys) })
t.teardown(() => server.close())
const identities = new Map<string, Identity>()
/** A connection with a client certificate. */
const connect = (name: string) => {
  const identity =
    identities.get(name) ??
    issueCertificate({ subject: [['CN', name]], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] })
  identities.set(name, identity)
  return server.connect(identity, { clientId: name })
}
const alice = await connect('alice')
const olga = await connect('olga')
const plain = await connect('plain')
const pale = await connect('pale')
const scanner = await connect('scanner')
const nobody = await server.connect(null)
const reportAsClient = async (body: string) => send(scanner, body, {}, await scanner.token({ scope: 'leaks:report' }))
const revoked = { status: 401, body: { reason: 'revoked' } }
const good = { status: 200 }

t.test('verifies the programme’s vector, and accepts its report without revoking anything (N-64)', async t => {
  t.ok(isSignedBy(Buffer.from(vector.body), vector.signature, vectorKey))
  t.notOk(isSignedBy(Buffer.from(`${vector.body} `), vector.signature, vectorKey))
  const [before, since] = [await contentsOf(server.store), server.events.length]
  const headers = { 'Github-Public-Key-Identifier': 'vector', 'Github-Public-Key-Signature': vector.signature }
  t.match(await send(nobody, vector.body, headers), accepted, 'without a certificate')
  t.match(await send(alice, vector.body, headers), accepted, 'with a certificate')
  t.same(await contentsOf(server.store), before)
  t.same(server.events.slice(since), [])
})

t.test('revokes a token without a grant, whoever reports it (OA27)', async t => {
  for (const [who, connection] of [
    ['plain', plain],
    ['pale', pale],
    ['pia', await connect('pia')],
  ] as const)
    for (const [by, report] of [
      [reporter.identifier, (body: string) => sendSigned(nobody, reporter, body)],
      ['scanner', reportAsClient],
    ] as const) {
      const [token, sibling] = [await connection.token(), await connection.token()]
      for (const one of [token, sibling]) t.match(await connection.get('/api/whoami', one), good, 'control')
      const since = server.events.length
      t.match(await report(reportOf(token)), accepted, `${who} by ${by}`)
      t.match(await connection.get('/api/whoami', token), revoked, `${who} by ${by}`)
      t.match(await connection.get('/api/whoami', sibling), good, 'a token that did not leak stays valid')
      const [leak] = leaksOf(server, since)
      t.match(leak, {
        outcome: 'success',
        kind: 'access_token',
        client_id: who,
        jti: String,
        revoked: 'token',
        bound_to: String,
        by,
        signed: by !== 'scanner',
        url: 'https://git.example/a/b/blob/c/.env',
        source: 'content',
        path: '/leaks',
        peer: '127.0.0.1',
      })
    }
})

t.test('revokes the whole grant for any of its tokens (OA27)', async t => {
  for (const [who, connection] of [
    ['alice', alice],
    ['olga', olga],
    ['petra', await connect('petra')],
  ] as const)
    for (const leaked of ['access', 'refresh'] as const)
      for (const age of ['first', 'second'] as const) {
        const other = await startGrant(connection)
        const first = await startGrant(connection)
        const { body } = await refresh(connection, first.refresh)
        const second = { access: body.access_token, refresh: body.refresh_token }
        const since = server.events.length
        const name = `${who}: the ${age} ${leaked} token`
        t.match(await sendSigned(nobody, reporter, reportOf((age === 'first' ? first : second)[leaked])), accepted)
        for (const { access } of [first, second]) t.match(await connection.get('/api/whoami', access), revoked, name)
        t.match(await refresh(connection, second.refresh), { status: 400, body: { reason: 'refresh_revoked' } }, name)
        t.match(await connection.get('/api/whoami', other.access), good, 'another grant of the client stays valid')
        t.match(await refresh(connection, other.refresh), good)
        const leaks = leaksOf(server, since)
        t.match(leaks, [{ kind: `${leaked}_token`, client_id: who, grant: String, revoked: 'grant', bound_to: String }])
        t.equal(leaks.length, 1, name)
      }
})

t.test('revokes the grant of an expired token', async t => {
  const { access, refresh: token } = await startGrant(alice)
  server.clock += 301
  t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'expired' } }, 'control')
  const since = server.events.length
  t.match(await sendSigned(nobody, reporter, reportOf(access)), accepted)
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } })
  t.match(leaksOf(server, since), [{ kind: 'access_token', revoked: 'grant' }])
})

t.test('records no event for a second report, or for a token that its client has revoked (OA27)', async t => {
  const { access, refresh: token } = await startGrant(alice)
  const lonely = await plain.token()
  const since = server.events.length
  t.match(await sendSigned(nobody, reporter, reportOf(access, access, lonely)), accepted)
  t.equal(leaksOf(server, since).length, 2, 'control: one event for each')
  const again = [reportOf(access), reportOf(token), reportOf(lonely), reportOf(access, access, lonely)]
  const before = await contentsOf(server.store, [token])
  for (const body of again) t.match(await sendSigned(nobody, reporter, body), accepted)
  t.equal(leaksOf(server, since).length, 2)
  t.same(await contentsOf(server.store, [token]), before)

  const given = await startGrant(alice)
  await revoke(alice, given.refresh)
  const mark = server.events.length
  for (const one of [given.access, given.refresh]) t.match(await sendSigned(nobody, reporter, reportOf(one)), accepted)
  t.same(server.events.slice(mark), [])
})

t.test('revokes the grant of a reported token that its client has revoked before', async t => {
  const { access, refresh: token } = await startGrant(alice)
  await revoke(alice, access)
  const since = server.events.length
  t.match(await sendSigned(nobody, reporter, reportOf(access)), accepted)
  t.equal(leaksOf(server, since).length, 1)
  t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_revoked' } })
})

t.test('accepts no leaked token after its disabled client is enabled again', async t => {
  const registration = register('dora')
  const { access, refresh: token } = await startGrant(await connect('dora'), { token_binding: 'certificate' })
  t.match(await (await connect('dora')).get('/api/whoami', access), good, 'control')
  await server.store.disableClient('dora', JSON.stringify(registration))
  const since = server.events.length
  for (let time = 0; time < 2; time++) t.match(await sendSigned(nobody, reporter, reportOf(access)), accepted)
  await server.store.enableClient('dora')
  const dora = await connect('dora') // the connections of a disabled client are closed
  t.match(await dora.get('/api/whoami', access), revoked)
  t.match(await refresh(dora, token), { status: 400, body: { reason: 'refresh_revoked' } })
  t.equal(leaksOf(server, since).length, 1)
})

t.test('records one event for two parallel reports, whoever sends them (OA27)', async t => {
  for (const connection of [alice, olga]) {
    const { access, refresh: token } = await startGrant(connection)
    const since = server.events.length
    const bodies = [access, token, access, token].map(one => reportOf(one))
    const answers = await Promise.all([
      ...bodies.map(body => sendSigned(nobody, reporter, body)),
      ...bodies.map(reportAsClient),
    ])
    for (const answer of answers) t.match(answer, accepted)
    t.equal(leaksOf(server, since).length, 1)
  }
})

t.test('ignores unknown members of a report, and requires only the token', async t => {
  const token = await plain.token()
  const since = server.events.length
  const body = JSON.stringify([{ token, score: 1, commit: { a: [] } }])
  t.match(await sendSigned(nobody, reporter, body), accepted)
  t.match(leaksOf(server, since), [{ kind: 'access_token', by: reporter.identifier }])
})

t.test('records the places of a leak shortened, in one line, and without tokens (LK03, LK11)', async t => {
  const [token, other] = [await plain.token(), await olga.token()]
  const refreshToken = buildOpaqueToken('rt', randomBytes(32))
  const secrets = [token, other, refreshToken]
  const url = `https://x/?a=${secrets.join('&b=')}&c=${token.replaceAll('.', '%2E')}\u001b[31m\n${'x'.repeat(3000)}`
  const since = server.events.length
  const body = JSON.stringify([entry(token, { url, source: `commit ${other}` })])
  t.match(await sendSigned(nobody, reporter, body), accepted)
  const [leak] = leaksOf(server, since) as [{ url: string; source: string }]
  t.equal(leak.url.length, 256)
  t.equal(leak.source, 'commit tlsbound_at_…')
  t.match(leak.url, /^https:\/\/x\/\?a=eyJ…&b=tlsbound_at_…&b=tlsbound_rt_…&c=eyJ…\\u\{1b\}\[31m\\u\{a\}x+$/)
  const written = JSON.stringify(server.events) + server.log.join('')
  for (const secret of secrets)
    for (const part of secret.split(/[._]/).filter(segment => segment.length > 20 && !segment.startsWith('eyJ')))
      t.notOk(written.includes(part.slice(0, 24)))
  t.equal(redactTokens(`${refreshToken}${other} eyJ`), 'tlsbound_rt_… eyJ')
  t.match(claimsOf(token), { client_id: 'plain' }, 'control: it is a token')
})

t.test('serve accepts reports by the keys of its file, and does not start if the file is invalid', async t => {
  const cwd = t.testdir({ 'broken.json': '{"public_keys":[{}]}' })
  const process = await startTlsbound(t, cwd, trustReporters(cwd, keys))
  const token = await (await process.connect('alice')).token({ token_binding: 'certificate' })
  t.match(await (await process.connect('alice')).get('/api/whoami', token), good, 'control')
  t.match(await sendSigned(await process.connect(null), makeReporter(), reportOf(token)), { status: 401 })
  t.match(await sendSigned(await process.connect(null), reporter, reportOf(token)), accepted)
  t.match(await (await process.connect('alice')).get('/api/whoami', token), revoked)
  for (const [file, problem] of [
    [
      'broken.json',
      /^tlsbound: broken\.json: public_keys number 1: key_identifier must have 1 to 128 characters[^\n]*\n$/m,
    ],
    ['missing.json', /^tlsbound: missing\.json: there is no such file \(ENOENT\)\n$/m],
  ] as const)
    t.match(await runTlsbound(['serve'], cwd, { TLSBOUND_LEAK_KEYS_FILE: file }), { code: 1, stderr: problem }, file)
})
