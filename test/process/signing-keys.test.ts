// Signing keys change while a server runs, without a refused token (RE11), through a file that several servers can share.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { parsePaseto } from '../../src/core/paseto.ts'
import { createKeyRing } from '../../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKey, type TokenJwk } from '../../src/keys/token-keys.ts'
import {
  ensureKeysFile,
  importKeysFile,
  loadKeyRing,
  readKeysFile,
  rotateKeysFile,
  watchKeysFile,
} from '../../src/process/signing-keys.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { register } from '../helpers/tokens/grants.ts'

mock.timers.enable({ apis: ['setInterval'] }) // tests decide when a file is checked
t.teardown(() => mock.timers.reset())
const now = Math.floor(Date.now() / 1000) + 600 // after the keys created here begin to sign

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid

t.test('switches to the next key without a refused token (RE11)', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const server = await startTestServer({
    signingKeys: readKeysFile(path),
    env: { TLSBOUND_ACCESS_TOKEN_LIFETIME: '86400' },
  })
  t.teardown(() => server.close())
  const alice = await server.connect('alice')
  const elsewhere = await server.connect('alice') // remembers no token, so that keys are looked up
  const issue = () => alice.token({ token_binding: 'certificate' })
  const published = async () => (await alice.get('/oauth/jwks')).body.keys.map((key: { kid: string }) => key.kid)
  const old = await issue()
  const [oldKid] = await published()

  const owner = process.getuid?.() === 0 ? 12_345 : process.getuid?.()
  chownSync(path, owner as number, process.getgid?.() as number)
  const { kid, nbf } = await rotateKeysFile(path, 'EdDSA', server.clock)
  t.equal(statSync(path).uid, owner, 'a rotation by an administrator preserves the owner of the file')
  server.keys.replace(await importKeysFile(path), server.clock)
  t.same(await published(), [oldKid, kid], 'the next key is published at once')
  t.equal(kidOf(await issue()), oldKid, 'and does not sign yet')
  server.clock = nbf
  const next = await issue()
  t.equal(kidOf(next), kid, 'it signs from its time on')
  for (const token of [old, next]) t.match(await elsewhere.get('/api/whoami', token), { status: 200 })
  const last = server.clock + 86_400
  server.clock = last
  t.same(await published(), [kid], 'the old key is removed when its last token has expired')
})

t.test('rejects the tokens of a removed signing key at their next request, also remembered ones', async t => {
  const [stolen, next, other] = await Promise.all([1, 2, 3].map(() => generateTokenKey('ES256')))
  if (!stolen || !next || !other) throw new Error('no keys')
  const opaque = { ...register('bob'), access_token_format: 'opaque' }
  const server = await startTestServer({ signingKeys: [stolen], clients: [register('alice'), opaque] })
  t.teardown(() => server.close())
  const replace = async (...keys: TokenJwk[]) =>
    server.keys.replace(await Promise.all(keys.map(importSigningKey)), server.clock)
  const held = []
  for (const ALPNProtocols of [['http/1.1'], ['h2']])
    for (const token_binding of ['connection', 'certificate']) {
      const connection = await server.connect('alice', { ALPNProtocols })
      const token = await connection.token({ token_binding })
      t.match(await connection.get('/api/whoami', token), { status: 200 }, 'control')
      held.push({ connection, token })
    }
  const bob = await server.connect('bob')
  const his = await bob.token()

  await replace(stolen, other)
  for (const { connection, token } of held)
    t.match(await connection.get('/api/whoami', token), { status: 200 }, 'a key was added')
  await replace(stolen)
  for (const { connection, token } of held)
    t.match(await connection.get('/api/whoami', token), { status: 200 }, 'another key was removed')
  await replace(next)
  for (const { connection, token } of held) {
    const since = server.events.length
    t.match(await connection.get('/api/whoami', token), { status: 401, body: { reason: 'revoked' } })
    t.match(server.events.slice(since), [
      { event: 'token.refused', detail: 'key_removed', facts: { kid: stolen.kid }, client_id: 'alice', jti: String },
    ])
    t.match(await connection.get('/api/whoami', token), { status: 401, body: { reason: 'bad_signature' } })
    const fresh = await connection.token()
    t.match(await connection.get('/api/whoami', fresh), { status: 200 }, 'by the next key')
  }
  t.match(await bob.get('/api/whoami', his), { status: 200 }, 'an opaque token needs no key')

  const [{ connection }] = held as [(typeof held)[0]]
  const token = await connection.token()
  await replace({ ...other, kid: next.kid })
  t.match(
    await connection.get('/api/whoami', token),
    { status: 401, body: { reason: 'revoked' } },
    'another key, same id',
  )
})

t.test('follows the file, and uses the old keys when the file is invalid', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const ring = createKeyRing(await importKeysFile(path), now)
  const problems: string[] = []
  const changes: string[] = []
  const { poll } = watchKeysFile(path, ring, {
    clock: () => now * 1000,
    maximumAge: undefined,
    algorithm: 'ES256',
    report: problem => problems.push(problem),
    onChange: (key, change) => changes.push(`${change} ${key.kid}`),
  })
  const [before] = ring.published(now)
  await poll()
  t.same(ring.published(now), [before])
  const { kid } = await rotateKeysFile(path, 'ES256', now)
  await poll()
  t.same(
    ring.published(now).map(key => key.kid),
    [before?.kid, kid],
  )
  writeFileSync(path, 'hello')
  utimesSync(path, 1, 1)
  await poll()
  t.same(
    ring.published(now).map(key => key.kid),
    [before?.kid, kid],
    'the keys in use are unchanged',
  )
  t.match(problems, [/^the signing keys stay as they are: .*keys\.json, line 1, column 1: this word is not JSON/])
  t.same(changes, [`present ${before?.kid}`, `rescheduled ${before?.kid}`, `added ${kid}`])
})

t.test('reports each added or removed key, whoever changed the file', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const [first] = readKeysFile(path) as [TokenJwk]
  const [stolen, other] = await Promise.all([generateTokenKey('ES256'), generateTokenKey('ES256')])
  const write = (...keys: TokenJwk[]) => writeFileSync(path, JSON.stringify({ keys }), { mode: 0o600 })
  /** Starts a server, and returns the changes that it reports until it ends. */
  const serve = async (use: (look: () => Promise<void>) => Promise<void> = async () => {}) => {
    const told: string[] = []
    const { poll } = watchKeysFile(path, createKeyRing(await importKeysFile(path), now), {
      ...{ clock: () => now * 1000, maximumAge: undefined, algorithm: 'ES256' },
      report: problem => t.fail(problem),
      onChange: ({ kid }, change) => told.push(`${change} ${kid}`),
    })
    await poll()
    await use(poll)
    await poll()
    return told
  }
  t.same(await serve(), [`present ${first.kid}`], 'its first start')
  t.same(await serve(), [], 'nothing has changed')
  const running = await serve(async poll => {
    write(first, stolen)
    const { mtime } = statSync(path)
    await poll()
    write(first)
    utimesSync(path, mtime, mtime) // an attacker may reset the time of the file
    await poll()
    write({ ...first, exp: now + 1000 })
    await poll()
    write({ ...other, kid: first.kid, nbf: first.nbf, exp: now + 1000 })
  })
  t.same(
    running,
    [`added ${stolen.kid}`, `removed ${stolen.kid}`, `rescheduled ${first.kid}`, `changed ${first.kid}`],
    'while it runs',
  )
  write(other, stolen)
  t.same(await serve(), [`added ${other.kid}`, `added ${stolen.kid}`, `removed ${first.kid}`], 'while no server ran')
  t.same(await serve(), [])
  t.equal(statSync(`${path}.seen`).mode & 0o777, 0o600)
  t.notMatch(readFileSync(`${path}.seen`, 'utf8'), stolen.d as string, 'no private key is recorded')
  for (const broken of ['', '[', '[1]', '{}', 'null']) {
    writeFileSync(`${path}.seen`, broken)
    t.same(await serve(), [`present ${other.kid}`, `present ${stolen.kid}`], `remembered: ${JSON.stringify(broken)}`)
  }
})

t.test('each server that shares the file reports a key that was added while it was down', async t => {
  const folder = makeFolder(t)
  const path = join(folder, 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const [first] = readKeysFile(path) as [TokenJwk]
  const serve = async (server: string) => {
    const told: string[] = []
    const record = join(folder, server, 'keys.json.seen-8443')
    const { poll, stop } = watchKeysFile(path, createKeyRing(await importKeysFile(path), now), {
      ...{ clock: () => now * 1000, maximumAge: undefined, algorithm: 'ES256', record },
      report: problem => t.fail(problem),
      onChange: ({ kid }, change) => told.push(`${change} ${kid}`),
    })
    await poll()
    stop()
    return told
  }
  for (const server of ['one', 'other']) t.same(await serve(server), [`present ${first.kid}`])
  const { kid } = await rotateKeysFile(path, 'ES256', now)
  const changes = [`rescheduled ${first.kid}`, `added ${kid}`].toSorted()
  for (const server of ['one', 'other']) t.same((await serve(server)).toSorted(), changes, server)
  for (const server of ['one', 'other']) t.same(await serve(server), [])
  t.notOk(existsSync(`${path}.seen`))
})

t.test('rotates old keys in time, once', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const ring = createKeyRing(await importKeysFile(path), now)
  const rotated: string[] = []
  let clock = now
  const { poll } = watchKeysFile(path, ring, {
    clock: () => clock * 1000,
    maximumAge: 3600,
    algorithm: 'ES256',
    report: problem => t.fail(problem),
    onChange: ({ kid }, change) => change === 'added' && rotated.push(kid),
  })
  await poll()
  t.same(rotated, [])
  clock += 3600
  await poll()
  await poll()
  t.equal(rotated.length, 1)
  t.equal(ring.published(clock).length, 2)
})

t.test('servers that share the file and find its keys old at the same time create one new key (RE11)', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const rings = await Promise.all([1, 2, 3].map(async () => createKeyRing(await importKeysFile(path), now)))
  const rotated = new Set<string>()
  const looks = rings.map(ring =>
    watchKeysFile(path, ring, {
      clock: () => (now + 3600) * 1000,
      maximumAge: 3600,
      algorithm: 'ES256',
      report: problem => t.match(problem, /is being changed by another process/),
      onChange: ({ kid }, change) => change === 'added' && rotated.add(kid),
    }),
  )
  for (let round = 0; round < 3; round++) await Promise.all(looks.map(({ poll }) => poll()))
  t.equal(rotated.size, 1)
  for (const ring of rings) t.ok(ring.find([...rotated][0] as string, now), 'which all of them know')
})

t.test('rotates keys for JWTs and keys for PASETO separately, each when due', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const [first] = readKeysFile(path)
  const paseto = await rotateKeysFile(path, 'v4.public', now - 300)
  t.match(paseto, { kid: /^k4\.pid\.[\w-]{44}$/, nbf: now }, 'the first key for PASETO is published first too')
  t.match(readKeysFile(path), [
    { kid: first?.kid, exp: undefined },
    { kid: paseto.kid, alg: 'v4.public', nbf: now },
  ])
  const ring = await loadKeyRing(path, now)
  t.ok(ring.hasPaseto(now))
  t.notOk(ring.hasPaseto(now - 1), 'not before')
  t.same([now - 1, now].map(ring.nextPaseto), [now, undefined])
  t.equal(kidOf(ring.sign({}, now)), first?.kid, 'a JWT is signed by the other key')

  const next = await rotateKeysFile(path, 'v4.public', now + 10)
  t.equal(next.nbf, now + 310, 'the next one is published first')
  const jwt = await rotateKeysFile(path, 'EdDSA', now + 20)
  t.match(
    readKeysFile(path).map(({ kid, exp }) => [kid, exp]),
    [
      [paseto.kid, now + 310 + 86_400],
      [next.kid, undefined],
      [first?.kid, now + 320 + 86_400],
      [jwt.kid, undefined],
    ],
  )
  ring.replace(await importKeysFile(path), now + 20)
  const signer = (time: number) =>
    parsePaseto(ring.signPaseto({ iss: 'x', iat: time, exp: time + 1 }, time) as string).kid
  t.same([now + 309, now + 310].map(signer), [paseto.kid, next.kid])

  const changes: string[] = []
  let clock = now + 20
  const { poll, stop } = watchKeysFile(path, ring, {
    clock: () => clock * 1000,
    maximumAge: 5000,
    algorithm: 'ES256',
    report: problem => t.fail(problem),
    onChange: ({ alg }, change) => change === 'added' && changes.push(alg),
  })
  t.teardown(stop)
  await poll()
  t.same(changes, [], 'none is due')
  clock = now + 6000
  await poll()
  t.same(changes.sort(), ['ES256', 'v4.public'], 'both were due')
  await poll()
  t.equal(changes.length, 2)
})

t.test('reports each kind of keys that is due while other servers have copies of the file', async t => {
  const path = join(makeFolder(t), 'keys.json')
  writeFileSync(path, JSON.stringify({ keys: [{ ...(await generateTokenKey('ES256')), nbf: now }] }), { mode: 0o600 })
  await rotateKeysFile(path, 'v4.public', now + 1500)
  const problems: string[] = []
  let clock = now + 1800
  const { poll, stop } = watchKeysFile(path, await loadKeyRing(path, clock), {
    clock: () => clock * 1000,
    maximumAge: 3600,
    mayRotate: () => false,
    algorithm: 'ES256',
    report: problem => problems.push(problem),
    onChange: () => {},
  })
  t.teardown(stop)
  await poll()
  t.same(problems, [], 'none is due')
  clock = now + 3600
  await poll()
  await poll()
  t.match(problems, [/keys for JWTs are due[^;]*Run tlsbound keys rotate --algorithm ES256, and copy/])
  t.notMatch(problems[0], /PASETO/)
  clock = now + 5400
  await poll()
  await poll()
  t.match(problems.slice(1), [
    /keys for JWTs and PASETO are due[^;]*rotate --algorithm ES256 and[^;]*rotate --algorithm v4\.public/,
  ])
  t.equal(readKeysFile(path).length, 2)
})

t.test('misses no change of the file while a server starts, or of two at once', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'ES256')
  const ring = createKeyRing(await importKeysFile(path), now)
  const { kid: early } = await rotateKeysFile(path, 'ES256', now)
  const options = { clock: () => now * 1000, maximumAge: undefined, algorithm: 'ES256', onChange: () => {} } as const
  const { poll } = watchKeysFile(path, ring, { ...options, report: problem => t.fail(problem) })
  await poll()
  t.ok(ring.find(early, now), 'before it was watched')
  const same = new Date(1_000_000)
  utimesSync(path, same, same)
  await poll()
  const { kid: late } = await rotateKeysFile(path, 'ES256', now)
  utimesSync(path, same, same)
  await poll()
  t.ok(ring.find(late, now), 'within one tick of the file system’s clock')
})

/** A process that only locks a file. */
async function holdLock(t: Test, path: string): Promise<ChildProcess> {
  const program = `const { whileLocked } = await import(${JSON.stringify(resolve('src/process/file-lock.ts'))})
    await whileLocked(${JSON.stringify(path)}, () => new Promise(() => console.log(setInterval(() => {}, 1000) && 'locked')))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

t.test('stores the file for its owner, atomically, and lets one process at a time rotate it', async t => {
  const path = join(makeFolder(t), 'keys.json')
  await ensureKeysFile(path, 'RS256')
  const text = readFileSync(path, 'utf8')
  await ensureKeysFile(path, 'ES256')
  t.equal(readFileSync(path, 'utf8'), text, 'an existing one is unchanged')
  const holder = await holdLock(t, path)
  await t.rejects(rotateKeysFile(path, 'ES256', now), /keys\.json is being changed by another process/)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await rotateKeysFile(path, 'ES256', now)
  t.equal(readKeysFile(path).length, 2, 'a killed process releases its lock')
  t.equal(statSync(path).mode & 0o777, 0o600)
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => rotateKeysFile(path, 'ES256', now)))
  const done = results.filter(({ status }) => status === 'fulfilled').length
  t.equal(readKeysFile(path).length, 2 + done, 'none is lost')
})

t.test('names an invalid file, and never quotes it', async t => {
  const path = join(makeFolder(t), 'keys.json')
  const good = await generateTokenKey('ES256')
  const other = await generateTokenKey('ES256')
  const write = (keys: unknown) => writeFileSync(path, JSON.stringify({ keys }), { mode: 0o600 })
  write([good])
  t.equal((await importKeysFile(path)).length, 1, 'control')
  const { d: _, ...publicOnly } = good
  const wrong: unknown[] = [
    [],
    null,
    [null],
    [publicOnly],
    [{ ...good, d: other.d }],
    [{ ...good, nbf: 'soon' }],
    [{ ...good, exp: 1.5 }],
    [{ ...good, nbf: 9e12 }], // no date can show it
  ]
  for (const keys of wrong) {
    write(keys)
    const refusal = await importKeysFile(path).catch((error: Error) => error.message)
    t.match(refusal, /keys\.json/)
    t.notOk(String(refusal).includes(good.d as string))
  }
  write([good, { ...good }])
  const twice = await importKeysFile(path)
  t.throws(() => createKeyRing(twice, now), TypeError, 'two keys of one id')
  const later: TokenJwk = { ...good, nbf: now + 60 }
  write([later])
  const early = await importKeysFile(path)
  t.throws(() => createKeyRing(early, now), RangeError, 'none that signs')
})
