// The checks of other machines: issuers, reporters and webhooks as real HTTPS servers, and the two stores.
import { chmodSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { findingsOf } from '../../src/doctor/finding.ts'
import { checkLeakKeys } from '../../src/doctor/leak-keys.ts'
import type { ClockReading } from '../../src/doctor/remote-json.ts'
import { checkSigningKeys } from '../../src/doctor/signing-keys.ts'
import { checkStore } from '../../src/doctor/store.ts'
import { checkTrustedIssuers } from '../../src/doctor/trusted-issuers.ts'
import { checkWebhooks } from '../../src/doctor/webhooks.ts'
import { generateTokenKey, type SigningKey } from '../../src/keys/token-keys.ts'
import {
  describeKey,
  ensureKeysFile,
  importKeysFile,
  readKeysFile,
  rotateKeysFile,
} from '../../src/process/signing-keys.ts'
import { parseSettings } from '../../src/settings/settings.ts'
import { openPostgres } from '../../src/store/postgres.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { linesOf } from '../helpers/process/findings.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { receiverIdentity, startReceiver } from '../helpers/server/webhook-receiver.ts'
import { makeReporter, publicKeys } from '../helpers/tokens/leaks.ts'
import { makeIssuer, trust } from '../helpers/tokens/outside-issuer.ts'

t.setTimeout(120_000)
const settings = parseSettings({})

/** Starts an HTTPS server that returns documents by path. */
async function serveDocuments(t: Test, documents: Readonly<Record<string, string>>) {
  const { certificate, key } = receiverIdentity()
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const body = documents[request.url as string]
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(body)
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => server.close())
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

t.test('fetches the keys of trusted issuers, and requires one for an allowed algorithm', async t => {
  const [ec, ed] = [await makeIssuer('ec-1', 'ES256'), await makeIssuer('ed-1', 'EdDSA')]
  const { alg: _alg, use: _use, ...bare } = ed.publicJwk
  const origin = await serveDocuments(t, {
    '/ec': JSON.stringify({ keys: [ec.publicJwk, ed.publicJwk] }),
    '/bare': JSON.stringify({ keys: [bare] }),
    '/none': JSON.stringify({ keys: [] }),
    '/other': '{}',
    '/text': 'hello',
  })
  const folder = t.testdir()
  const receiver = await startReceiver(t)
  writeFileSync(join(folder, 'ca.pem'), receiver.ca)
  const entry = (path: string, more = {}) => ({
    issuer: `https://idp.example${path}`,
    jwks_uri: `${origin}${path}`,
    ca_file: 'ca.pem',
    audience: 'x',
    subject_prefix: `${path}:`,
    ...more,
  })
  const check = async (entries: readonly object[], readings: ClockReading[] | undefined = []) => {
    const { TLSBOUND_TRUSTED_ISSUERS_FILE: trustedIssuersFile } = trust(folder, entries, {
      'keys.json': { keys: [ec.publicJwk] },
    })
    return linesOf(await findingsOf(() => checkTrustedIssuers({ ...settings, trustedIssuersFile }, readings)), folder)
  }
  t.same(linesOf(await checkTrustedIssuers(settings, [])), [
    '✓ not configured: no tokens of other issuers are exchanged',
  ])
  const readings: ClockReading[] = []
  t.match(await check([entry('/ec'), entry('/bare')], readings), [
    '✓ https://idp.example/ec: keys ec-1 ES256, ed-1 EdDSA',
    '✓ https://idp.example/bare: keys ed-1 OKP Ed25519',
  ])
  t.match(
    await check([entry('/ec', { algorithms: ['ES256'] })]),
    [
      '✓ https://idp.example/ec: keys ec-1 ES256, ed-1 EdDSA',
      /ec: ignored key number 2 \(kid "ed-1"\): it is for none of the/,
    ],
    'names unusable keys',
  )
  t.match(readings, [{ of: new URL(origin).host }], 'reads the clock of the server once')
  t.match(await check([entry('/bare', { algorithms: ['ES256'] }), entry('/none')]), [
    '✗ https://idp.example/bare: none of its keys can verify access tokens; key number 1 (kid "ed-1"): it is for none of the allowed algorithms; check the address of its key set, and the allowed algorithms: ES256',
    /^✗ https:\/\/idp\.example\/none: none of its keys can verify access tokens; check /,
  ])
  t.match(await check([entry('/other'), entry('/text'), entry('/missing'), entry('/ca', { ca_file: undefined })]), [
    /^✗ https:\/\/idp\.example\/other: it has no list of keys; check the address of its key set, /,
    /^✗ https:\/\/idp\.example\/text: https:\/\/localhost:\d+\/text: the response is not JSON.*; check the address$/,
    /^✗ https:\/\/idp\.example\/missing: .*it responds with 404.*; check the address$/,
    /^✗ https:\/\/idp\.example\/ca: .*not trusted by Node's default authorities.*; configure the authority/,
  ])
  const file = { ...entry('/file', { jwks_file: 'keys.json' }), jwks_uri: undefined, ca_file: undefined }
  t.match(await check([file]), ['✓ https://idp.example/file: keys ec-1 ES256'])
  t.match(await check([entry('/ec'), {}]), [/^✗ issuers\.json: issuer number 2: issuer must be/])
  t.match(
    linesOf(
      await checkTrustedIssuers(
        { ...settings, trustedIssuersFile: trust(folder, [entry('/ec')]).TLSBOUND_TRUSTED_ISSUERS_FILE },
        undefined,
      ),
    ),
    [`✓ https://idp.example/ec: its keys are fetched from ${origin}/ec`],
  )
})

t.test('reports whether each webhook resolves, is allowed and trusted, and sends nothing to it', async t => {
  const receiver = await startReceiver(t)
  const folder = t.testdir({ 'ca.pem': receiver.ca })
  const webhooksFile = join(folder, 'webhooks.json')
  const check = async (entries: readonly object[], isOnline = true) => {
    writeFileSync(webhooksFile, JSON.stringify(entries), { mode: 0o600 })
    return linesOf(await findingsOf(() => checkWebhooks({ ...settings, webhooksFile }, isOnline)), folder)
  }
  const valid = { ...receiver.entry(), ca_file: 'ca.pem', allow_internal: true }
  const { host } = new URL(receiver.url)
  t.same(linesOf(await checkWebhooks(settings, true)), ['✓ not configured: no receiver is notified'])
  t.match(await check([]), ['✓ webhooks.json: the list is empty, so no receiver is notified'])
  t.match(await check([valid]), [new RegExp(`^✓ ${host}: is notified of theft\\.suspected, .*; it is reachable$`)])
  const named = { ...valid, url: `https://localhost:${receiver.port}/`, allow_internal: false }
  t.match(await check([named]), [
    `✗ localhost:${receiver.port}: has an internal address, to which no notifications are sent; set allow_internal: true if this is intended`,
  ])
  t.match(await check([{ ...valid, ca_file: undefined }]), [/^✗ .*not trusted by Node's default authorities/])
  t.match(await check([{ ...valid, url: `https://localhost:${await findFreePort()}/` }]), [
    /^✗ localhost:\d+: nothing accepts connections there/,
  ])
  t.match(await check([{ ...valid, url: 'https://nowhere.invalid/' }]), [
    /^✗ nowhere\.invalid: the name nowhere\.invalid has no address/,
  ])
  t.match(await check([valid], false), [new RegExp(`^✓ ${host}: is notified of [a-z., ]+$`)])
  t.match(await check([{ ...valid, secret: 'x' }]), [/^✗ webhooks\.json: webhook number 1: secret must be/])
  t.same(receiver.delivered, [])
})

t.test('checks the keys of leak reporters in a file or at an address', async t => {
  const document = publicKeys(makeReporter('first'), makeReporter('second'))
  const folder = t.testdir({ 'keys.json': document, 'wrong.json': '{}' })
  const check = async (more: object, isOnline = true) =>
    linesOf(await findingsOf(() => checkLeakKeys({ ...settings, ...more }, isOnline ? [] : undefined)), folder)
  t.match(await check({}), ['✓ not configured: signed reports of leaked tokens are rejected'])
  t.match(await check({ leakKeysFile: join(folder, 'keys.json') }), ['✓ keys.json: valid'])
  t.match(await check({ leakKeysFile: join(folder, 'wrong.json') }), [/^✗ wrong\.json: public_keys must be a list/])
  const origin = await serveDocuments(t, { '/keys': document })
  t.match(await check({ leakKeysUrl: `${origin}/keys` }, false), [`✓ the keys are fetched from ${origin}/keys`])
  t.match(await check({ leakKeysUrl: `${origin}/keys` }), [/^✗ .*not trusted by Node's default authorities/])
})

t.test('reports which signing key signs, which one is next, and which have expired', async t => {
  const folder = t.testdir()
  const file = join(folder, 'keys.json')
  const now = Math.floor(Date.now() / 1000)
  const check = async (at = now, more = {}) =>
    linesOf(await findingsOf(() => checkSigningKeys(file, { ...settings, ...more }, at)), folder)
  t.same(await check(), ['✓ keys.json: does not exist yet; the server creates the signing keys when it starts'])
  t.match(await check(now, { signingKeysFile: file }), [/^✗ keys\.json: there is no such file/])
  await ensureKeysFile(file, 'ES256')
  const { kid } = await rotateKeysFile(file, 'EdDSA', now)
  const [first] = readKeysFile(file)
  t.match(await check(), [
    `✓ keys.json: key ${first?.kid} (ES256) signs`,
    new RegExp(`^✓ keys\\.json: key ${kid} \\(EdDSA\\) signs from \\S+ on$`),
  ])
  t.match(await check(now + 400), [
    new RegExp(`^✓ .*${first?.kid} \\(ES256\\) verifies until `),
    new RegExp(`${kid} \\(EdDSA\\) signs$`),
  ])
  t.match((await check(now + 400_000))[0], /^! .*has expired and verifies no tokens; remove it$/)
  t.match(await check(now - 400_000), [/^✗ keys\.json: no key may sign at this time; check the clock/])
  const key = await generateTokenKey('ES256')
  writeFileSync(file, JSON.stringify({ keys: [key, key] }))
  t.match(await check(), [`✗ keys.json: two keys have the kid ${key.kid}; remove one of them`])
  chmodSync(file, 0o644)
  t.match(await check(), [/^✗ keys\.json: others can read this secret/])
})

t.test('reports the key for PASETO, and that clients are registered for it without one', async t => {
  const folder = t.testdir()
  const file = join(folder, 'keys.json')
  const now = Math.floor(Date.now() / 1000)
  const registrations = [{ client_id: 'alice', access_token_format: 'paseto' }, { client_id: 'bob' }]
  const check = async () =>
    linesOf(await findingsOf(() => checkSigningKeys(file, settings, now, registrations)), folder)
  const missing =
    /^✗ client "alice": access_token_format paseto requires a signing key with alg v4\.public that signs now; add one with tlsbound keys rotate/
  t.match(await check(), [/does not exist yet/, missing])
  await ensureKeysFile(file, 'ES256')
  t.match(await check(), [/\(ES256\) signs$/, missing])
  const { kid } = await rotateKeysFile(file, 'v4.public', now - 100)
  t.match(await check(), [
    /\(ES256\) signs$/,
    /\(v4\.public\) signs from /,
    /that signs now; one signs from 20\S+Z on: wait until then$/,
  ])
  const [first, upcoming] = readKeysFile(file)
  writeFileSync(file, JSON.stringify({ keys: [first, { ...upcoming, nbf: now }] }))
  const found = await check()
  t.match(found, [/\(ES256\) signs$/, `✓ keys.json: key ${kid} (v4.public) signs`])
  t.equal(found.length, 2)
  const [jwt, paseto] = readKeysFile(file)
  writeFileSync(file, JSON.stringify({ keys: [paseto] }))
  t.match(await check(), ['✗ keys.json: no signing key is for JWTs; add one: tlsbound keys rotate'])
  writeFileSync(file, JSON.stringify({ keys: [jwt, paseto, { ...paseto, alg: 'EdDSA', kid: 'same' }] }))
  t.match(await check(), [/^✗ the key k4\.pid\.\S+ for PASETO is also one for JWTs; remove one of them$/])
})

t.test('checks the SQLite file without opening the database', async t => {
  const folder = t.testdir()
  const path = join(folder, 'state.db')
  const check = async (name = 'state.db') =>
    linesOf(await checkStore({ ...settings, stateUrl: `sqlite:${join(folder, name)}` }, undefined, 'keys.json'), folder)
  t.same(await check(), ['✓ state.db: does not exist yet; the server creates the state when it starts'])
  const store = openSqlite(path)
  await store.check()
  t.match((await check()).at(-1), /^✓ state\.db: /, 'while the database is in use')
  await store.close()
  t.match(await check(), [
    '✓ state.db: the state is readable and writable',
    /^✓ state\.db: schema (\d+), this release uses \1$/,
  ])
  const whole = readFileSync(path)
  const edit = (at: number, value: number) => {
    const content = Buffer.from(whole)
    content.writeUInt32BE(value, at)
    writeFileSync(path, content)
  }
  edit(60, 99)
  t.match(
    (await check()).at(-1),
    /^✗ state\.db: schema 99, this release uses \d+: it was written by a newer release; install that release$/,
  )
  edit(60, 1)
  t.match((await check()).at(-1), /^✓ state\.db: schema 1, this release uses \d+: the server migrates it/)
  edit(68, 7)
  t.match((await check()).at(-1), /^✗ state\.db: this is the database of another program/)
  writeFileSync(path, whole)
  truncateSync(path, whole.length - 4096)
  t.match((await check()).at(-1), /^✗ state\.db: the file is truncated to \d+ of \d+ octets; restore a backup/)
  writeFileSync(path, 'no database '.repeat(100))
  t.match((await check()).at(-1), /^✗ state\.db: this is not an SQLite database/)
  writeFileSync(path, '')
  t.match((await check()).at(-1), /^! state\.db: this file is empty, and the server creates new state in it/)
  rmSync(path)
  new DatabaseSync(path).exec('CREATE TABLE other (a)')
  t.match((await check()).at(-1), /^✗ state\.db: this is the database of another program/)
  mkdirSync(join(folder, 'folder'))
  t.match(await check('folder'), [/^✗ folder: this is not a regular file/])
  t.match(linesOf(await checkStore({ ...settings, stateUrl: 'sqlite::memory:' }, undefined, 'keys.json')), [
    /^! the state is in memory/,
  ])
})

t.test('checks connection, settings, schema version and privileges in PostgreSQL', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const readings: ClockReading[] = []
  const folder = t.testdir()
  const keysFile = join(folder, 'keys.json')
  const check = async (stateUrl: string) => linesOf(await checkStore({ ...settings, stateUrl }, readings, keysFile))
  const url = postgres.url('tlsbound')
  t.same(linesOf(await checkStore({ ...settings, stateUrl: url }, undefined, keysFile)), [
    '✓ a PostgreSQL database; not contacted in this check',
  ])
  t.match(await check(url), [
    /^✓ postgres at 127\.0\.0\.1:\d+: PostgreSQL \d+.*, as tester$/,
    /^✓ .*the connection has the required settings and can write$/,
    '✓ schema tlsbound: does not exist yet; the server creates it when it starts',
  ])
  const store = openPostgres(url)
  await store.check()
  t.match((await check(url)).slice(2), [
    /^✓ schema tlsbound: version (\d+), this release uses \1$/,
    '✓ no server uses this database now',
  ])
  await checkOthers(t, store, () => check(url), keysFile)
  await store.close()
  t.ok(Math.abs((readings[0] as ClockReading).theirs - Date.now()) < 60_000)

  const admin = new Client({ connectionString: url })
  await admin.connect()
  admin.on('error', () => {})
  await admin.query(
    "CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT USAGE ON SCHEMA tlsbound TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA tlsbound TO guest",
  )
  const guest = url.replace(/\/\/[^@]*@/, '//guest:guest@')
  t.match(
    (await check(guest)).at(-1),
    /^✗ schema tlsbound: guest may not read and write access_tokens, clients, .*; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "tlsbound" TO "guest"$/,
  )
  t.match(
    (await check(guest.replace('tlsbound', 'other'))).at(-1),
    /^✗ schema other: does not exist, and guest may not create it; .*CREATE SCHEMA "other" AUTHORIZATION "guest"$/,
  )
  await admin.query('REVOKE USAGE ON SCHEMA tlsbound FROM guest')
  t.match((await check(guest)).at(-1), /^✗ schema tlsbound: guest may not use it; GRANT USAGE/)
  await admin.query('UPDATE tlsbound.tlsbound_schema SET version = 99')
  t.match((await check(url)).at(-1), /^✗ schema tlsbound: version 99, .*it was written by a newer release/)
  await admin.query(
    'UPDATE tlsbound.tlsbound_schema SET version = 1; ALTER ROLE tester SET default_transaction_read_only = on',
  )
  const readOnly = await check(url)
  t.match(readOnly[1], /^✗ .*the database is read-only/)
  t.match(readOnly[2], /^✓ schema tlsbound: version 1, .*the server migrates it/)

  const wrong = await check(url.replace(/\/\/[^@]*@/, '//tester:CANARY@'))
  t.match(wrong, [
    /^✗ postgres at 127\.0\.0\.1:\d+: password authentication failed.*; check address, user, password and network$/,
  ])
  t.notMatch(wrong.join(), 'CANARY')
  await admin.end()
  await postgres.stop('SIGINT')
  t.match(await check(url), [/^✗ postgres at 127\.0\.0\.1:\d+: .*ECONNREFUSED/])
})

/** The findings about another server on the database, whose keys and clock are changed. */
async function checkOthers(t: Test, store: Store, check: () => Promise<string[]>, keysFile: string): Promise<void> {
  const record = (keys: readonly SigningKey[], ahead = 0) => {
    const description = { name: 'elsewhere, process 1', keys: keys.map(describeKey), ahead }
    return store.recordServer?.({ id: 'x', description: JSON.stringify(description) })
  }
  const last = async () => (await check()).slice(3)
  await record([])
  t.match(await last(), [
    /^✗ 1 server uses this database now \(elsewhere, process 1\), and \S+ does not exist; copy the other/,
  ])
  await ensureKeysFile(keysFile, 'ES256')
  await record(await importKeysFile(keysFile))
  t.match(await last(), ['✓ 1 server uses this database now (elsewhere, process 1), with the same signing keys'])
  const before = await importKeysFile(keysFile)
  const { kid } = await rotateKeysFile(keysFile, 'ES256', Math.floor(Date.now() / 1000))
  t.match(await last(), [
    new RegExp(`^! the signing keys differ .* from .* on: key ${kid} of this server is missing there; copy`),
  ])
  await record(await importKeysFile(keysFile), 60_000)
  t.match(await last(), [
    /^✗ this clock is (59|60|61) s behind that of another server .*; synchronize both clocks with NTP$/,
  ])
  await record([{ ...(before[0] as SigningKey), kid: 'other' }])
  t.match(await last(), [
    /^✗ the signing keys differ .*: key other of that server is missing here, .*; copy the other/,
    /^! /,
  ])
  writeFileSync(keysFile, '{')
  t.match(await last(), ['✓ 1 server uses this database now (elsewhere, process 1)'])
  await store.removeServer?.('x')
}
