// Server processes on one PostgreSQL with signing keys that differ: none starts that would refuse the tokens of another (RE11).
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { writeDemoPki } from '../../../src/pki/demo.ts'
import { readKeysFile } from '../../../src/process/signing-keys.ts'
import { type RunningServer, run, runTlsbound, startTlsbound } from '../../helpers/process/process.ts'
import { startPostgres } from '../../helpers/server/postgres.ts'

t.setTimeout(240_000)
const postgres = await startPostgres()
t.teardown(() => postgres.close())
let schemas = 0

/** Folders of servers with one authority and one database, each with a file of keys of its own. */
function createFolders(t: Test) {
  const folder = t.testdir()
  writeDemoPki(join(folder, 'certs'))
  const env = {
    TLSBOUND_ISSUER: 'https://localhost:8443',
    TLSBOUND_STATE_URL: postgres.url(`different_keys_${++schemas}`),
  }
  return {
    env,
    create(name: string, keys?: string) {
      const path = join(folder, name)
      mkdirSync(join(path, 'data'), { recursive: true })
      cpSync(join(folder, 'certs'), join(path, 'certs'), { recursive: true })
      if (keys !== undefined) writeFileSync(join(path, 'data/signing-keys.json'), keys, { mode: 0o600 })
      return path
    },
  }
}

const keysIn = (folder: string) => join(folder, 'data/signing-keys.json')

/** A token of one server, presented to the other. */
async function isAccepted(from: RunningServer, at: RunningServer): Promise<boolean> {
  const [issuing, using] = [await from.connect('alice'), await at.connect('alice')]
  const token = await issuing.token({ token_binding: 'certificate' })
  return (await using.get('/api/whoami', token)).status === 200
}

for (const workers of ['1', '2'])
  t.test(`refuses to start with keys of its own beside another server, with ${workers} worker(s)`, async t => {
    const { create, env } = createFolders(t)
    const all = { ...env, TLSBOUND_WORKERS: workers }
    const [one, other] = [create('one'), create('other')]
    const first = await startTlsbound(t, one, all)
    const refused = await runTlsbound(['serve'], other, { ...all, TLSBOUND_PORT: '1' })
    t.match(refused, {
      code: 1,
      stderr:
        /^tlsbound: the signing keys differ .*: key \S+ of that server is missing here, .* tlsbound keys create FILE and name it in TLSBOUND_SIGNING_KEYS_FILE of each \(docs\/how-to\/run-several-servers\.md\)\n$/m,
    })
    const secrets = [one, other].flatMap(folder => readKeysFile(keysIn(folder)).map(({ d }) => d as string))
    for (const secret of [...secrets, 'a p@ss', 'a%20p']) t.notOk(refused.stderr.includes(secret), 'shows no secret')
    t.ok(await isAccepted(first, first), 'the other server goes on')

    cpSync(keysIn(one), keysIn(other))
    const second = await startTlsbound(t, other, all)
    t.ok((await isAccepted(first, second)) && (await isAccepted(second, first)), 'control: with the same keys')
    await first.end('SIGTERM')
    await second.end('SIGTERM')
    writeFileSync(keysIn(other), JSON.stringify({ keys: [{ ...(await generateTokenKey('ES256')), nbf: 1 }] }))
    const alone = await startTlsbound(t, other, all)
    t.ok(await isAccepted(alone, alone), 'with new keys, once no other server runs')
  })

t.test('refuses a key of the same id and another content, and a key more that signs now', async t => {
  const { create, env } = createFolders(t)
  const first = create('one')
  await startTlsbound(t, first, env)
  const keys = readKeysFile(keysIn(first))
  const kid = keys[0]?.kid as string
  const another = await generateTokenKey('ES256')
  const start = (...keys: object[]) => runTlsbound(['serve'], create(`s${++folders}`, JSON.stringify({ keys })), env)
  let folders = 0
  t.match(await start({ ...another, kid }), {
    code: 1,
    stderr: new RegExp(`key ${kid} has another content there; each`),
  })
  const now = Math.floor(Date.now() / 1000)
  t.match(await start(...keys, { ...another, nbf: now }), {
    code: 1,
    stderr: new RegExp(`: key ${another.kid} of this server is missing there; each refuses tokens of the other`),
  })
  const server = await startTlsbound(
    t,
    create('later', JSON.stringify({ keys: [...keys, { ...another, nbf: now + 300 }] })),
    env,
  )
  await server.seen(
    new RegExp(`will be used from .*: key ${another.kid} of this server is missing there; copy the file`),
  )
})

t.test('starts again at once after a kill -9, and with other keys when the record has expired', async t => {
  const { create, env } = createFolders(t)
  const folder = create('one')
  const first = await startTlsbound(t, folder, env)
  await first.end('SIGKILL')
  const begin = performance.now()
  const second = await startTlsbound(t, folder, env)
  const took = performance.now() - begin
  t.notMatch(second.stderr(), /waiting up to/)
  await second.end('SIGKILL')
  const other = await startTlsbound(t, create('other'), env)
  t.comment(/waiting up to/.test(other.stderr()) ? 'it has waited' : 'the record had expired')
  t.comment(`with the same keys after ${Math.round(took)} ms`)
  t.ok(await isAccepted(other, other))
})

t.test('follows a rotation at two servers that have a file each, without a refused token', async t => {
  const { create, env } = createFolders(t)
  const one = create('one')
  t.match(await runTlsbound(['keys', 'create', keysIn(one)], one), { code: 0 })
  const other = create('other', readFileSync(keysIn(one), 'utf8'))
  const settings = { ...env, TLSBOUND_SIGNING_KEYS_FILE: 'data/signing-keys.json' }
  const servers = [await startTlsbound(t, one, settings), await startTlsbound(t, other, settings)] as const
  let running = true
  let uses = 0
  const work = (async () => {
    for (; running; uses++)
      for (const [from, at] of [servers, servers.toReversed()])
        if (!(await isAccepted(from as RunningServer, at as RunningServer))) throw new Error('refused')
  })()
  t.match(await runTlsbound(['keys', 'rotate', '--file', keysIn(one)], one), { code: 0 })
  await servers[0].seen(/will be used from .* of this server is missing there; copy the file/)
  t.match(await run('cp', [keysIn(one), keysIn(other)], one), { code: 0 })
  await servers[0].seen(/the signing keys are those of the other servers on this database again/)
  running = false
  await t.resolves(work)
  t.ok(uses > 0, `control: ${uses} uses at each server`)
})

t.test('does not rotate keys by age while another server has a copy of the file', async t => {
  const { create, env } = createFolders(t)
  const nbf = Math.floor(Date.now() / 1000) - 7200
  const keys = JSON.stringify({ keys: [{ ...(await generateTokenKey('ES256')), nbf }] })
  const [one, other] = [create('one', keys), create('other', keys)]
  const settings = { ...env, TLSBOUND_SIGNING_KEY_MAX_AGE: '3600' }
  const first = await startTlsbound(t, one, env)
  const second = await startTlsbound(t, other, settings)
  second.child.kill('SIGHUP')
  await second.seen(/are due for rotation, and are not rotated: other servers on this database do not read this file/)
  t.equal(readKeysFile(keysIn(other)).length, 1)
  await first.end('SIGTERM')
  for (let tries = 0; readKeysFile(keysIn(other)).length === 1 && tries < 60; tries++) {
    second.child.kill('SIGHUP')
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  t.equal(readKeysFile(keysIn(other)).length, 2, 'control: alone it does')
})
