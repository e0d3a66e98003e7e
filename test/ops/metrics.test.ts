// GET /metrics: what it counts, and that it identifies no client. Each count is compared with the activity just before.
// LK01, LK06, DS13; issue: what a security team sees.
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { OAuthError } from '../../src/core/errors.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import { keyIdentifier } from '../../src/pki/signing.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { ConflictError } from '../../src/store/store.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { growth, scrape } from '../helpers/server/metrics.ts'
import { callOps, identityOf } from '../helpers/server/ops.ts'
import { introspect, refresh, register, revoke, startGrant } from '../helpers/tokens/grants.ts'

async function start(options: Parameters<typeof startTestServer>[0] = {}) {
  const server = await startTestServer({ ops: true, ...options })
  t.teardown(() => server.close())
  /** Returns what an action adds to the metrics. */
  const watch = async (work: () => Promise<unknown>, name?: string) => {
    const before = await scrape(server)
    await work()
    return growth(before, await scrape(server), name)
  }
  return { server, watch }
}

const everyLevel = ['connection', 'certificate', 'proof']
const clients = [
  register('alice', { token_bindings: everyLevel, theft_response: 'revoke_grant' }),
  register('bob', { token_bindings: everyLevel, resource: 'https://localhost:8443', access_token_format: 'opaque' }),
]
const { server, watch } = await start({ clients, env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })

t.test('counts every check: accepted ones by level and TLS version, refused ones by reason', async t => {
  for (const tls of ['TLSv1.2', 'TLSv1.3'] as const) {
    const alice = await server.connect('alice', { maxVersion: tls })
    for (const level of ['connection', 'certificate', 'proof']) {
      const token = await alice.token({ token_binding: level })
      const proof = level === 'proof' ? alice.prove(token) : undefined
      const grown = await watch(async () => {
        for (const _ of [1, 2, 3]) t.match(await alice.get('/api/whoami', token, proof), { status: 200 })
      }, 'tlsbound_checks')
      const series = `tlsbound_checks_total{outcome="accepted",reason="",level="${level}",tls="${tls}"}`
      t.same(grown, { [series]: 3 }, `${level} on ${tls}`)
    }
    const token = await alice.token({ token_binding: 'certificate' })
    const other = await server.connect('bob', { maxVersion: tls })
    const grown = await watch(async () => {
      t.match(await other.get('/api/whoami', token), { status: 401 })
      t.match(await other.get('/api/whoami'), { status: 401 })
    }, 'tlsbound_checks')
    const refused = (reason: string, level: string) =>
      `tlsbound_checks_total{outcome="refused",reason="${reason}",level="${level}",tls="${tls}"}`
    t.same(grown, { [refused('certificate_mismatch', 'certificate')]: 1, [refused('no_token', '')]: 1 })
  }
})

t.test('counts a valid token with too little scope as a refused check only', async t => {
  const alice = await server.connect('alice')
  const token = await alice.token({ scope: 'notes:read' })
  const grown = await watch(() => alice.call('/api/notes', { method: 'POST', token }), 'tlsbound_checks')
  t.same(grown, {
    'tlsbound_checks_total{outcome="refused",reason="scope_missing",level="connection",tls="TLSv1.3"}': 1,
  })
})

t.test('counts issued, refreshed, introspected and revoked tokens, and refusals at these endpoints', async t => {
  const alice = await server.connect('alice')
  const bob = await server.connect('bob')
  const issued = (grant: string) => `tlsbound_tokens_issued_total{level="connection",grant_type="${grant}"}`
  const event = (name: string) => `tlsbound_events_total{event="${name}"}`
  let tokens = { access: '', refresh: '' }
  t.same(await watch(async () => (tokens = await startGrant(alice))), {
    [issued('client_credentials')]: 1,
    [event('token.issued')]: 1,
  })
  t.same(await watch(() => refresh(alice, tokens.refresh)), {
    [issued('refresh_token')]: 1,
    [event('token.issued')]: 1,
    [event('refresh.rotated')]: 1,
    'tlsbound_refreshes_total{how="rotated"}': 1,
  })
  t.same(
    await watch(async () => {
      await introspect(bob, tokens.access, 'bob')
      await introspect(bob, 'nonsense', 'bob')
    }),
    {
      [event('token.introspected')]: 2,
      'tlsbound_introspections_total{active="true"}': 1,
      'tlsbound_introspections_total{active="false"}': 1,
    },
  )
  t.same(await watch(() => revoke(alice, tokens.access)), {
    [event('token.revoked')]: 1,
    'tlsbound_revocations_total{kind="token"}': 1,
  })
  t.same(await watch(() => alice.requestToken({ scope: 'everything' })), {
    [event('token.refused')]: 1,
    'tlsbound_oauth_refusals_total{reason="scope_denied"}': 1,
  })
  t.same(await watch(() => alice.requestToken({ client_id: 'bob' })), {
    [event('client.refused')]: 1,
    'tlsbound_oauth_refusals_total{reason="client_mismatch"}': 1,
  })
})

t.test('counts a theft with the response to it', async t => {
  const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
  const { access } = await startGrant(alice)
  t.match(await alice.get('/api/whoami', access), { status: 200 }, 'control')
  const revoked = 'tlsbound_revocations_total{kind="grant"}'
  const grown = await watch(async () => {
    t.match(await bob.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_mismatch' } })
    for (let i = 0; i < 100 && (await scrape(server)).get(revoked) === 0; i++);
  })
  t.match(grown, {
    'tlsbound_theft_signals_total{suspicion="certain",response="revoke_grant"}': 1,
    'tlsbound_events_total{event="theft.suspected"}': 1,
    [revoked]: 1,
  })
})

t.test('counts open and opened connections, and failed handshakes', async t => {
  const open = 'tlsbound_connections_open'
  let alice = await server.connect('alice')
  const grown = await watch(async () => {
    alice = await server.connect('alice')
  })
  t.same(grown, { [open]: 1, 'tlsbound_connections_opened_total{tls="TLSv1.3"}': 1 })
  const socket = [...server.tls.connections].at(-1)?.socket
  t.same(
    await watch(async () => {
      const closed = once(socket as object as NodeJS.EventEmitter, 'close')
      alice.close()
      await closed
    }),
    { [open]: -1 },
  )
  const noise = async (text: string, to = server) => {
    const socket = connect(to.port, '127.0.0.1', () => socket.write(text))
    socket.on('error', () => {}).resume()
    await once(socket, 'close')
  }
  const failed = (arrived: string) => ({ [`tlsbound_handshakes_failed_total{arrived="${arrived}"}`]: 1 })
  t.same(await watch(() => noise('this is no TLS'), 'tlsbound_handshakes'), failed('unknown'))
  const hasty = await start({ tls: { timeouts: { handshake: 0.1 } } })
  t.same(
    await hasty.watch(() => noise('\x16\x03', hasty.server), 'tlsbound_handshakes'),
    failed('cut'),
    'and one that times out',
  )
})

t.test('measures the store by kind of call, and counts its failures', async t => {
  const real = openSqlite(':memory:')
  let silence = 0
  let failing = false
  const { server, watch } = await start({
    clients,
    store: {
      ...real,
      millisecondsSinceSync: () => silence,
      listNotes: (...call) =>
        failing
          ? Promise.reject(new OAuthError('temporarily_unavailable', 'store_unavailable', 'no_answer'))
          : real.listNotes(...call),
      addNote: () => Promise.reject(new ConflictError('the caller’s mistake')),
    },
  })
  const alice = await server.connect('alice')
  const token = await alice.token()
  const calls = async () => (await scrape(server)).get('tlsbound_store_duration_seconds_count{operation="listNotes"}')
  t.equal(await calls(), undefined)
  t.match(await alice.get('/api/notes', token), { status: 200 }, 'control')
  t.equal(await calls(), 1)
  failing = true
  const failures = await watch(() => alice.get('/api/notes', token), 'tlsbound_store_failures')
  t.same(failures, { 'tlsbound_store_failures_total{operation="listNotes"}': 1 })
  t.equal(await calls(), 2)
  const text = JSON.stringify({ text: 'x' })
  const post = { method: 'POST', token, body: text, headers: { 'content-type': 'application/json' } }
  t.same(await watch(() => alice.call('/api/notes', post), 'tlsbound_store_failures'), {}, 'the store has responded')
  silence = 2500
  t.equal((await scrape(server)).get('tlsbound_revocation_lag_seconds'), 2.5)
  t.equal((await scrape(server)).get('tlsbound_ready'), 1)
  silence = Number.POSITIVE_INFINITY
  t.equal((await scrape(server)).get('tlsbound_revocation_lag_seconds'), Number.POSITIVE_INFINITY)
  t.equal((await scrape(server)).get('tlsbound_ready'), 0)
})

t.test('reports the earliest expiry of certificates and revocation lists, and follows a reload', async t => {
  const { server } = await start()
  const { pki, tls } = server
  const ends = async () => growth(new Map(), await scrape(server), 'tlsbound_expiry')
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
  const of = (name: string) => `tlsbound_expiry_timestamp_seconds{of="${name}"}`
  const certificates = {
    [of('server_certificate')]: seconds(pki.server.x509.validToDate),
    [of('client_authorities')]: seconds(pki.ca.x509.validToDate),
  }
  t.same(await ends(), certificates, 'without a list there is no expiry of one')
  const other = issueCertificate({ subject: [['CN', 'another CA']], ca: true })
  const list = (issuer: Identity, years: number) =>
    issueCrl({ issuer, revoked: [], nextUpdate: new Date(Date.UTC(2030 + years, 1, 3, 4, 5, 6)) })
  const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate + other.certificate }
  tls.reload({ ...material, crl: list(pki.ca, 1) + list(other, 0) })
  t.match(await ends(), { [of('revocation_lists')]: Date.UTC(2030, 1, 3, 4, 5, 6) / 1000 })
  tls.reload({ ...material, crl: list(pki.ca, 30) + list(other, 31) })
  t.match(await ends(), { [of('revocation_lists')]: Date.UTC(2060, 1, 3, 4, 5, 6) / 1000 }, 'after 2049 (RFC 5280)')
})

t.test(
  'reports each authority and each list by name: expiry, entries, and whether clients can be accepted',
  async t => {
    const { server } = await start()
    const { pki, tls } = server
    const other = issueCertificate({ subject: [['CN', 'another CA']], ca: true })
    const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate + other.certificate }
    const revoked = [pki.bob.x509, pki.mallory.x509]
    const nextUpdate = new Date(Date.UTC(2030, 1, 3, 4, 5, 6))
    tls.reload({ ...material, crl: issueCrl({ issuer: pki.ca, revoked, nextUpdate }) })
    const metrics = [...(await scrape(server))].filter(([name]) => /^tlsbound_(authority|list|warning)_/.test(name))
    const serial = (identity: Identity) => identity.x509.serialNumber.toLowerCase()
    const demo = 'O=tlsbound demo\\\\, not for production,CN=tlsbound demo CA'
    const ofAuthority = (name: string, authority: string, identity: Identity) =>
      `tlsbound_authority_${name}{authority="${authority}",serial="${serial(identity)}"}`
    const key = keyIdentifier(pki.ca.publicKey).toString('hex', 0, 8)
    const ofList = (name: string) => `tlsbound_list_${name}{authority="${demo}",key="${key}",scope="all"}`
    const end = ({ x509 }: Identity) => Math.floor(x509.validToDate.getTime() / 1000)
    t.same(Object.fromEntries(metrics), {
      tlsbound_warning_before_end_seconds: 86_400, // of the demo
      [ofAuthority('end_timestamp_seconds', demo, pki.ca)]: end(pki.ca),
      [ofAuthority('end_timestamp_seconds', 'CN=another CA', other)]: end(other),
      [ofAuthority('usable', demo, pki.ca)]: 1,
      [ofAuthority('usable', 'CN=another CA', other)]: 0,
      [ofList('end_timestamp_seconds')]: nextUpdate.getTime() / 1000,
      [ofList('entries')]: 2,
    })
    tls.reload({
      ...material,
      crl: issueCrl({ issuer: pki.ca, revoked }) + issueCrl({ issuer: other, revoked: [], nextUpdate: null }),
    })
    const after = await scrape(server)
    t.equal(after.get(ofAuthority('usable', 'CN=another CA', other)), 1)
    t.equal([...after.keys()].filter(name => name.startsWith('tlsbound_list_entries')).length, 2)
    t.equal([...after.keys()].filter(name => name.startsWith('tlsbound_list_end')).length, 1, 'one has no expiry')
  },
)

t.test('contains nothing that a client chose, and no new series after a flood of refusals (LK01, DS13)', async t => {
  const canary = 'canary4711'
  const mallory = await server.connect(identityOf(server, canary))
  const attack = async () => {
    await mallory.get(`/${canary}`, canary)
    await mallory.get('/api/whoami', canary)
    await mallory.requestToken({ client_id: canary, scope: canary, grant_type: canary, token_binding: canary })
    await mallory.call(`/oauth/${canary}`, { method: 'POST', headers: { [canary]: canary }, token: canary })
  }
  await attack()
  const before = await scrape(server)
  const refusals = await watch(async () => {
    for (let i = 0; i < 100; i++) await attack()
  }, 'tlsbound_events_total')
  t.ok(Object.values(refusals).reduce((sum, count) => sum + count) >= 300, 'each is counted, whatever is written')
  const after = await scrape(server)
  const names = (metrics: typeof after) => [...metrics.keys()].filter(name => !name.startsWith('tlsbound_store')).sort()
  t.same(names(after), names(before), 'no new series; the store removes expired records over time')
  const { text } = await callOps(server, 'GET', '/metrics')
  t.notMatch(text, new RegExp(`${canary}|alice|bob|127\\.0\\.0\\.1|localhost|[\\w-]{43}`, 'i'))
})

t.test('serves this machine only, without a token or event; the public listener has no metrics (LK06)', async t => {
  const alice = await server.connect('alice')
  const before = server.events.length
  const answer = await callOps(server, 'GET', '/metrics', { headers: { authorization: undefined } })
  t.match(answer, {
    status: 200,
    headers: { 'content-type': /^text\/plain; version=0\.0\.4/, 'cache-control': 'no-store' },
  })
  t.equal(server.events.length, before)
  const foreign = { headers: { host: 'attacker.example', authorization: undefined } }
  t.match(await callOps(server, 'GET', '/metrics', foreign), { status: 421 })
  const token = await alice.token()
  for (const path of ['/metrics', '/health', '/ready', '/debug', '/admin/clients', '/debug/pprof', '/api/metrics'])
    for (const bearer of [undefined, token]) {
      const { status, text } = await alice.get(path, bearer)
      t.ok(status === 404 || status === 401, `${path}: ${status}`)
      t.notMatch(text, /tlsbound_|alive|ready/)
    }
})

t.test('keeps the counts of servers in one process apart', async t => {
  const { server: other } = await start({ clients })
  const issued = (metrics: ReadonlyMap<string, number>) =>
    metrics.get('tlsbound_tokens_issued_total{level="connection",grant_type="client_credentials"}')
  t.ok((issued(await scrape(server)) ?? 0) > 0, 'control')
  t.equal(issued(await scrape(other)), 0)
})
