// SIGHUP with changed clients and trusted issuers: a server process, its files, and connections that stay open.
// RE10, OA16; RFC 8705 §2.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createKeyRing } from '../../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKey } from '../../src/keys/token-keys.ts'
import { writeDemoPki } from '../../src/pki/demo.ts'
import { readClientsInSteps, readTlsFiles } from '../../src/process/files.ts'
import { createReload } from '../../src/process/reload.ts'
import { fileNames } from '../../src/process/watched-files.ts'
import { ClientRegistry } from '../../src/server/clients/registry.ts'
import { createOutsideIssuers } from '../../src/server/grants/trusted-issuers.ts'
import { createAudit } from '../../src/server/record-events.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { mutualTls } from '../../src/tls/mutual-tls.ts'
import { startTlsbound } from '../helpers/process/process.ts'
import { refresh, register, startGrant } from '../helpers/tokens/grants.ts'
import { accepted, makeReporter, publicKeys, reportOf, sendSigned } from '../helpers/tokens/leaks.ts'
import { exchange, exchangeGrant, idp, makeIssuer } from '../helpers/tokens/outside-issuer.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const bound = { token_binding: 'certificate' }
const ofFiles = {
  TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
  TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
  TLSBOUND_CLIENTS_FILE: 'clients.json',
  TLSBOUND_TRUSTED_ISSUERS_FILE: 'issuers.json',
  TLSBOUND_LEAK_KEYS_FILE: 'leak-keys.json',
  TLSBOUND_ISSUER: 'https://localhost:8443',
}
const outside = await makeIssuer()
const [reporter, nextReporter] = [makeReporter('first'), makeReporter('next')]
const other = { idp: 'https://other.example', ...(await makeIssuer('other-1')) }
const issuerOf = (issuer: string) => ({
  issuer,
  jwks_file: issuer === idp ? 'outside.json' : 'other.json',
  audience: 'https://localhost:8443',
  subject_prefix: issuer === idp ? '1-' : '2-',
})

/** A folder with certificates, clients and issuers, the server that uses it, and a function that reloads it. */
async function start(t: Test) {
  const folder = t.testdir()
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  writeDemoPki(join(folder, 'certs'))
  const grant_types = ['client_credentials', 'refresh_token', exchangeGrant]
  const [alice, bob] = [register('alice'), register('bob', { grant_types })]
  write('clients.json', [alice, bob])
  write('outside.json', { keys: [outside.publicJwk] })
  write('other.json', { keys: [other.publicJwk] })
  write('issuers.json', [issuerOf(idp)])
  write('leak-keys.json', publicKeys(reporter))
  const server = await startTlsbound(t, folder, ofFiles)
  const reload = async (...seen: RegExp[]) => {
    const since = server.stderr().length
    server.child.kill('SIGHUP')
    for (const pattern of seen) await server.seen(pattern, since)
  }
  return { server, write, reload, alice, bob }
}

t.test('applies changed and removed clients at once, on live connections too, and revokes what they held', async t => {
  const { server, write, reload, alice, bob } = await start(t)
  const [alices, bobs, mallorys] = await Promise.all([
    server.connect('alice'),
    server.connect('bob'),
    server.connect('mallory'),
  ])
  const hers = await startGrant(alices, bound)
  const his = await startGrant(bobs)
  t.match(await mallorys.requestToken(), { status: 401, body: { reason: 'unknown_client' } })

  for (const broken of ['[', '{}', [alice, { ...bob, scope: ' ' }], [bob, { ...alice, client_id: 'anna' }, alice]]) {
    write('clients.json', broken)
    await reload(
      /"level":50,[^\n]*clients stay as they were[^\n]*clients\.json/,
      /"level":30,[^\n]*issuers were loaded/,
    )
    t.match(await alices.get('/api/whoami', hers.access), { status: 200 }, 'nothing has changed')
    t.match(await bobs.get('/api/whoami', his.access), { status: 200 })
  }

  write('clients.json', [{ ...alice, access_token_format: 'paseto' }, bob])
  await reload(/"level":50,[^\n]*clients stay as they were[^\n]*requires a signing key with alg v4\.public/)
  t.match(await alices.get('/api/whoami', hers.access), { status: 200 }, 'nothing has changed')

  write('clients.json', [register('mallory'), { ...alice, scope: 'notes:read' }])
  await reload(/"level":30,[^\n]*clients were loaded again/, /alice has changed/, /bob has changed/)
  for (const [name, connection, access] of [
    ['narrowed', alices, hers.access],
    ['gone', bobs, his.access],
  ] as const)
    t.match(await connection.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } }, name)
  t.match(await bobs.requestToken(), { status: 401, body: { reason: 'unknown_client' } })
  t.match(await alices.requestToken({ scope: 'notes:write' }), { status: 400, body: { reason: 'scope_denied' } })
  t.match(await refresh(alices, hers.refresh, { scope: 'notes:read' }), {
    status: 400,
    body: { reason: 'refresh_revoked' },
  })
  t.match(
    await mallorys.get('/api/whoami', await mallorys.token(bound)),
    { status: 200 },
    'the new registration, on the old connection',
  )
  const narrow = await alices.token(bound)
  t.match(await alices.get('/api/notes', narrow), { status: 200 })

  write('clients.json', [bob, { ...alice, scope: 'notes:read', tls_client_auth_subject_dn: 'CN=other' }])
  await reload(/alice has changed/, /mallory has changed/)
  t.match(
    await alices.requestToken(),
    { status: 401, body: { reason: 'client_mismatch' } },
    'the connection does not use the old registration',
  )
  t.match(await alices.get('/api/whoami', narrow), { status: 401, body: { reason: 'revoked' } })
  t.match(await bobs.get('/api/whoami', await bobs.token(bound)), { status: 200 }, 'registered again')
  t.match(
    await bobs.get('/api/whoami', his.access),
    { status: 401, body: { reason: 'revoked' } },
    'permanently revoked',
  )
  t.match(await refresh(bobs, his.refresh), { status: 400, body: { reason: 'refresh_revoked' } })

  const again = await bobs.token(bound)
  await reload(/issuers were loaded again/)
  t.match(await bobs.get('/api/whoami', again), { status: 200 }, 'unchanged clients are not affected')
  const { stdout } = await server.end('SIGTERM')
  const events = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  const revoked = events.filter(({ event }) => event === 'token.revoked').map(({ value }) => value)
  t.same(revoked.sort(), ['alice', 'alice', 'bob', 'mallory'])
})

t.test('stops trusting removed issuers, and ignores an invalid list', async t => {
  const { server, write, reload } = await start(t)
  const bob = await server.connect('bob')
  const now = () => Math.floor(Date.now() / 1000)
  const exchanged = async (issuer: typeof outside, iss = idp) => exchange(bob, await issuer.sign(now(), { iss }))
  const invalid = { status: 400, body: { reason: 'subject_token_invalid' } }
  const first = await exchanged(outside)
  t.match(first, { status: 200 }, 'control')
  t.match(await exchanged(other, other.idp), invalid)

  for (const broken of ['{', [issuerOf(other.idp), {}], [{ ...issuerOf(other.idp), jwks_file: 'missing.json' }]]) {
    write('issuers.json', broken)
    await reload(
      /"level":50,[^\n]*issuers stay as they were[^\n]*issuers\.json/,
      /"level":30,[^\n]*clients were loaded/,
    )
    t.match(await exchanged(outside), { status: 200 }, 'as before')
    t.match(await exchanged(other, other.idp), invalid)
  }

  write('issuers.json', [issuerOf(other.idp)])
  await reload(/issuers were loaded again/)
  t.match(await exchanged(other, other.idp), { status: 200 })
  t.match(await exchanged(outside), invalid)
  t.match(await bob.get('/api/whoami', first.body.access_token), { status: 200 }, 'exchanged tokens stay valid')
  write('outside.json', { keys: [other.publicJwk] })
  write('issuers.json', [issuerOf(idp)])
  await reload(/issuers were loaded again/)
  t.match(await exchanged(outside), invalid, 'its keys are loaded again too')
})

t.test('rejects reports by a removed key, and ignores an invalid document', async t => {
  const { server, write, reload } = await start(t)
  const nobody = await server.connect(null)
  const report = (by: typeof reporter) => sendSigned(nobody, by, reportOf('no token'))
  const refused = { status: 401, body: { reason: 'report_signature_invalid' } }
  t.match(await report(reporter), accepted)
  t.match(await report(nextReporter), refused)
  for (const broken of ['[', '{"public_keys":[]}', publicKeys(nextReporter, nextReporter)]) {
    write('leak-keys.json', broken)
    await reload(/"level":50,[^\n]*keys of leak reporters stay as they were[^\n]*leak-keys\.json/)
    t.match(await report(reporter), accepted)
  }
  write('leak-keys.json', publicKeys(nextReporter))
  await reload(/keys of leak reporters were loaded again/)
  t.match(await report(reporter), refused)
  t.match(await report(nextReporter), accepted)
})

/** A reload without a server, of the files in a folder. */
async function prepareReload(t: Test) {
  const folder = t.testdir()
  writeDemoPki(join(folder, 'certs'))
  const list = join(folder, 'clients.json')
  const env = Object.fromEntries(Object.entries(ofFiles).map(([name, file]) => [name, join(folder, file)]))
  const settings = parseSettings({
    ...env,
    TLSBOUND_TRUSTED_ISSUERS_FILE: '',
    TLSBOUND_ISSUER: ofFiles.TLSBOUND_ISSUER,
  })
  const log: string[] = []
  const events: object[] = []
  const clients = new ClientRegistry([register('alice'), register('bob')])
  const store = openSqlite(':memory:')
  const parts = {
    settings,
    tls: mutualTls({
      ...readTlsFiles(settings),
      minVersion: 'TLSv1.3',
      http2: true,
      dropUnacceptable: false,
      maximumAge: 60,
      isPinned: () => false,
      onDrop: () => {},
    }),
    clients,
    keys: createKeyRing([await importSigningKey(await generateTokenKey('ES256'))], 0),
    store,
    outsideIssuers: createOutsideIssuers([]),
    loadMaterial: () => readTlsFiles(settings),
    loadClients: () => readClientsInSteps(list),
    audit: createAudit(event => void events.push(event)),
    log: pino({}, { write: line => void log.push(line) }),
    clock: Date.now,
  }
  return { list, log, events, clients, store, parts }
}

t.test('revokes at the next reload what an unavailable store could not revoke', async t => {
  const { list, log, events, clients, store, parts } = await prepareReload(t)
  let broken = true
  const revoke: typeof store.revoke = revocation =>
    broken ? Promise.reject(new Error('no answer')) : store.revoke(revocation)
  const reload = createReload({ ...parts, store: { ...store, revoke } })
  writeFileSync(list, JSON.stringify([register('alice', { scope: '' })]))
  await reload()
  t.equal(clients.get('bob'), undefined, 'effective all the same')
  t.equal(log.filter(line => /"level":50.*tokens of client (alice|bob) could not be revoked/.test(line)).length, 2)
  t.same(events, [])
  broken = false
  await reload()
  t.match(events, [
    { event: 'token.revoked', kind: 'client', value: 'alice' },
    { event: 'token.revoked', kind: 'client', value: 'bob' },
  ])
  await reload()
  t.equal(events.length, 2, 'and then no more')
})

t.test('loads many clients in steps, and replaces all of them or none', async t => {
  const { list, log, clients, parts } = await prepareReload(t)
  const reload = createReload({ ...parts, revokeChanged: false })
  const many = Array.from({ length: 20_000 }, (_, index) => register(`client-${index}`))
  const numbers = new Set<number>()
  let turns = 0
  const observe = async (content: object[]) => {
    writeFileSync(list, JSON.stringify(content))
    turns = 0
    let isOver = false
    const over = reload(['clients']).finally(() => {
      isOver = true
    })
    while (!isOver) {
      numbers.add(clients.all.length)
      turns++
      await new Promise(resolve => setImmediate(resolve))
    }
    return await over
  }
  t.match(await observe(many), [{ files: 'clients', problem: undefined }])
  t.same([...numbers].slice(0, 2), [2, 20_000].slice(0, numbers.size), 'the old ones until the end')
  t.ok(turns > 5, `${turns} turns of the event loop`)
  t.equal(clients.all.length, 20_000)
  t.match(await observe([...many.slice(0, -1), register('client-19999', { scope: 5 })]), [{ problem: /scope must be/ }])
  t.equal(clients.all.length, 20_000)
  t.match(log.at(-1), /clients stay as they were/)

  writeFileSync(list, JSON.stringify(many))
  const first = reload(['clients'])
  await new Promise(resolve => setImmediate(resolve))
  writeFileSync(list, JSON.stringify([register('last')]))
  await Promise.all([first, reload(['clients'])])
  t.same(
    clients.all.map(({ client }) => client.id),
    ['last'],
    'the reload that began last is in force',
  )
})

t.test('loads other files while the store does not answer', async t => {
  const { list, log, clients, store, parts } = await prepareReload(t)
  let asked = 0
  const revoke = () => {
    asked++
    return new Promise<void>(() => {})
  }
  const reload = createReload({ ...parts, store: { ...store, revoke } })
  writeFileSync(list, JSON.stringify([register('alice')]))
  void reload(['clients'])
  await until(() => asked > 0)
  t.equal(clients.get('bob'), undefined, 'control')
  void reload([fileNames.tls])
  await until(() => log.some(line => line.includes(`${fileNames.tls} were loaded again`)))
})
