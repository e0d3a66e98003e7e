// The clients in examples/clients, with HTTP and OAuth libraries that are not tlsbound's: a pool of several connections works at
// level certificate, and is refused at level connection, where one pinned connection works. RFC 8705 §2, §3; RFC 9266.
// Needs the Debian packages python3-requests, python3-authlib, golang-go and golang-golang-x-oauth2-dev.
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import t from 'tap'
import { readExample, replaceIn } from '../helpers/process/example.ts'
import { type Ended, run, startTlsbound } from '../helpers/process/process.ts'

t.setTimeout(300_000) // Go may have to compile the packages first

const folder = t.testdir()
const server = await startTlsbound(t, folder, { TLSBOUND_AUDIT_FILE: 'events.jsonl' })
symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))

const node = (path: string) => run(process.execPath, [path], folder)
// Not the first python3 of PATH, which may be one without the Debian packages.
const python = (path: string) => run('/usr/bin/python3', [path], folder)
const { HOME = folder, GOCACHE = join(HOME, '.cache/go-build') } = process.env
/** The packages are those of Debian: nothing is downloaded. */
const go = (path: string) =>
  run('go', ['run', path], folder, { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOCACHE, HOME })

interface Client {
  run(path: string): Promise<Ended>
  /** The text that pins one connection → text that does not. */
  readonly pool: Readonly<Record<string, string>>
}
// undici may send all requests on one connection of HTTP/2, without a promise that it does.
const undici = { run: node, pool: { 'connections: 1, pipelining: 1': 'allowH2: false' } }
const agent = { run: node, pool: { ', maxSockets: 1': '' } }
const adapter = { run: python, pool: { 'pool_maxsize=1, pool_block=True': 'pool_maxsize=4' } }
const clients: Readonly<Record<string, Client>> = {
  'axios.ts': agent,
  'go/main.go': { run: go, pool: { ', MaxConnsPerHost: 1': '' } },
  'got.ts': agent,
  'oauth4webapi.ts': undici,
  'openid-client.ts': undici,
  'python-authlib.py': adapter,
  'python-requests.py': adapter,
  'undici.ts': undici,
}

/** Runs a client with changes. Also returns what the server saw: the level of each token, and the reason of each refusal. */
async function runClient(name: string, changes: Readonly<Record<string, string>> = {}) {
  const events = () => readFileSync(join(folder, 'events.jsonl'), 'utf8') // written before each response
  const before = events().length
  const path = join(folder, basename(name))
  writeFileSync(path, replaceIn(readExample(`clients/${name}`, server.port), changes))
  const ended = await (clients[name] as Client).run(path)
  const lines = events().slice(before).split('\n').filter(Boolean)
  return {
    ...ended,
    seen: lines.map(line => JSON.parse(line)).map(({ reason, token_binding }) => reason ?? token_binding),
  }
}

t.test('has a test for each client', async t => {
  const files = readdirSync('examples/clients', { recursive: true, withFileTypes: true }).filter(file => file.isFile())
  t.same(
    files.map(file => join(file.parentPath, file.name).replace('examples/clients/', '')).sort(),
    Object.keys(clients),
  )
})

const certificate = 'level certificate, a pool: 200 200 200 200\n'
const connection = 'level connection, one connection: 200 200 200 200\n'

for (const [name, { pool }] of Object.entries(clients))
  t.test(`${name} works with a pool at level certificate, and with one connection at level connection`, async t => {
    const pinned = await runClient(name)
    t.match(pinned, { code: 0, stdout: certificate + connection, seen: ['certificate', 'connection'] }, pinned.stderr)

    // A pool may by chance use one connection only, such as that of Go, whose requests take one that is free before theirs is open.
    let pooled = await runClient(name, pool)
    for (let more = 4; pooled.code === 0 && more > 0; more--) pooled = await runClient(name, pool)
    t.match(pooled, { code: 1, stdout: certificate }, 'with a pool at level connection')
    const [first, second, ...refused] = pooled.seen
    t.same([first, second], ['certificate', 'connection'], 'both tokens are issued')
    t.same([...new Set(refused)], ['connection_mismatch'], 'and the second is refused on other connections')

    const thief = await runClient(name, { 'alice.crt': 'bob.crt', 'alice.key': 'bob.key' })
    t.match(thief, { code: 1, stdout: '', seen: ['client_mismatch'] }, 'with the certificate of another client')
  })
