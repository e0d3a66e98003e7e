// The processes of a server with workers: what is lost when one of them is killed, how they start and end, and what happens
// while the primary process is silent. RE01, RE02, RE07.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { TestConnection } from '../../src/testing/server.ts'
import { run, runTlsbound } from '../helpers/process/process.ts'
import {
  isAlive,
  prepareFolder,
  program,
  readEvents,
  startWorkers,
  type WorkersServer,
} from '../helpers/process/workers.ts'
import { readMetrics } from '../helpers/server/metrics.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { refresh, register, revoke, tokensOf } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const clients = [register('alice'), register('bob')]
const portable = { token_binding: 'certificate' }

function prepare(t: Test): string {
  const folder = t.testdir()
  prepareFolder(folder, clients)
  return folder
}

/** What the server has acknowledged, by refresh token. */
interface Journal {
  readonly granted: string[]
  readonly revoked: string[]
  /** Revocations without an answer: they may be in force. */
  readonly unknown: Set<string>
}

/** Starts grants and revokes every third of them, on several connections, until it is stopped or the connections end. */
function load(server: WorkersServer, journal: Journal): { stop(): Promise<void> } {
  let isOver = false
  const work = async () => {
    while (!isOver)
      try {
        const connection = await server.connect('alice')
        for (let round = 0; !isOver; round++) {
          const { refresh: stored } = tokensOf(await connection.requestToken(portable))
          journal.granted.push(stored)
          if (round % 3 > 0) continue
          journal.unknown.add(stored)
          const { status } = await revoke(connection, stored)
          if (status !== 200) continue
          journal.revoked.push(stored)
          journal.unknown.delete(stored)
        }
      } catch {
        await new Promise(resolve => setTimeout(resolve, 20)) // the connection has ended, or was refused
      }
  }
  const running = Promise.all([work(), work(), work(), work()])
  return {
    async stop() {
      isOver = true
      await running
    },
  }
}

/** Returns the acknowledged grants that are lost, and the acknowledged revocations that are not in force. */
async function compare(connection: TestConnection, { granted, revoked, unknown }: Journal): Promise<string[]> {
  const wrong: string[] = []
  for (const token of granted.filter(token => !unknown.has(token))) {
    const { status, body } = await refresh(connection, token)
    const isRevoked = revoked.includes(token)
    if (isRevoked ? body?.reason !== 'refresh_revoked' : status !== 200)
      wrong.push(`${isRevoked} ${JSON.stringify(body)}`)
  }
  return wrong
}

const folder = prepare(t)
const server = await startWorkers(t, folder)
const journal: Journal = { granted: [], revoked: [], unknown: new Set() }
const hasGrown = async (count: number) => {
  const enough = journal.granted.length + count
  await until(() => journal.granted.length > enough)
}

t.test('a worker that is killed loses nothing that was acknowledged, and is replaced (RE01)', async t => {
  const { stop } = load(server, journal)
  const killed: number[] = []
  for (const _ of [1, 2]) {
    await hasGrown(10)
    const [victim = 0] = await server.pids()
    const since = server.stderr().length
    process.kill(victim, 'SIGKILL')
    await server.seen(/worker \d was replaced/, since)
    killed.push(victim)
  }
  await hasGrown(5)
  await stop()
  const workers = await server.pids()
  t.equal(workers.length, 2)
  t.notOk(killed.some(pid => workers.includes(pid)))
  const crashed = server.events().filter(({ change }) => change === 'crashed')
  const about = { worker: Number, chain_of: String, last: String }
  t.match(crashed, [about, about])
  const metrics = readMetrics((await server.ops('GET', '/metrics')).text)
  t.equal(metrics.get('tlsbound_worker_crashes_total'), 2)
  t.equal(metrics.get('tlsbound_workers_running'), 2)

  const lines = readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n')
  const last = lines.findLastIndex(line => line.includes(`"writer":"${crashed[0]?.chain_of}"`))
  writeFileSync(join(folder, 'cut.jsonl'), lines.filter((_, index) => index !== last).join('\n'))
  const cut = await runTlsbound(['audit', 'verify', 'audit.jsonl', '--json'], folder)
  t.match(JSON.parse(cut.stdout), { good: true, problems: 0 }, 'control')
  t.match(await runTlsbound(['audit', 'verify', 'cut.jsonl'], folder), {
    code: 1,
    stdout: /cut\.jsonl:\d+: names the end of the events of a worker/,
  })
})

t.test('requests are refused with 503 while the primary is silent, and answered when it is back', async t => {
  const [one, other] = await server.connectBoth('bob')
  const token = await one.token(portable)
  for (const connection of [one, other]) t.match(await connection.get('/api/whoami', token), { status: 200 }, 'control')
  const before = await server.pids()
  server.child.kill('SIGSTOP')
  await new Promise(resolve => setTimeout(resolve, 5600))
  for (const connection of [one, other]) {
    const refused = { status: 503, body: { reason: 'store_unavailable' } }
    t.match(await connection.get('/api/whoami', token), refused, 'no revocation would be known')
    t.match(await connection.requestToken(portable), refused)
  }
  server.child.kill('SIGCONT')
  let answer = await one.get('/api/whoami', token)
  for (; answer.status === 503; answer = await one.get('/api/whoami', token))
    await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(answer.status, 200)
  t.same(await server.pids(), before, 'the same workers')
})

t.test('a primary that is killed loses nothing that was acknowledged, and its workers end (RE01)', async t => {
  const { stop } = load(server, journal)
  await hasGrown(10)
  const workers = await server.pids()
  t.equal(workers.length, 2)
  server.child.kill('SIGKILL')
  await server.ended()
  await until(() => !workers.some(isAlive))
  await stop()

  const issuers = join(folder, 'issuers.json')
  writeFileSync(issuers, '[]')
  const env = { TLSBOUND_PORT: String(server.port), TLSBOUND_TRUSTED_ISSUERS_FILE: 'issuers.json' }
  const second = await startWorkers(t, folder, env)
  t.ok(journal.revoked.length > 5)
  const [one, other] = await second.connectBoth('alice')
  const isOdd = (_: string, index: number) => index % 2 === 1
  t.same(await compare(one, { ...journal, granted: journal.granted.filter(isOdd) }), [])
  t.same(
    await compare(other, { ...journal, granted: journal.granted.filter((token, index) => !isOdd(token, index)) }),
    [],
  )

  t.comment('a worker that is replaced has the files that are in use, not those on the disk')
  const [victim = 0] = await second.pids()
  renameSync(join(folder, 'certs/server.key'), join(folder, 'server.key'))
  const since = second.stderr().length
  process.kill(victim, 'SIGKILL')
  await second.seen(/worker \d was replaced/, since)
  renameSync(join(folder, 'server.key'), join(folder, 'certs/server.key'))
  for (const connection of await second.connectBoth('bob')) t.match(await connection.requestToken(), { status: 200 })

  t.comment('one that cannot start is tried again, and the other one serves meanwhile')
  const [next = 0] = await second.pids()
  writeFileSync(issuers, '{')
  const begin = second.stderr().length
  process.kill(next, 'SIGTERM')
  await second.seen(/worker \d cannot start: issuers.json, line 1.*\n.*replaced in 200 ms/, begin)
  t.match(await (await second.connect('bob')).requestToken(), { status: 200 })
  writeFileSync(issuers, '[]')
  await second.seen(/worker \d was replaced/, begin)
  t.match(
    second.events().findLast(({ change }) => change === 'stopped'),
    { last: String },
    'it was asked to end',
  )
  t.match(await second.end('SIGTERM', 10_000), { code: 0 })
  t.match(await second.verify(), { code: 0 })
})

t.test('SIGTERM completes requests in progress in all workers, then ends all processes (RE02)', async t => {
  const server = await startWorkers(t, prepare(t))
  const workers = await server.pids()
  const body = 'grant_type=client_credentials&client_id=alice'
  const type = 'Content-Type: application/x-www-form-urlencoded'
  const connections = await Promise.all(Array.from({ length: 4 }, () => server.connect('alice')))
  for (const { socket } of connections) {
    socket.write(requestText('POST /oauth/token', ['Expect: 100-continue', type, `Content-Length: ${body.length}`]))
    await new Promise(begun => socket.once('data', begun)) // 100 Continue: the worker has the request
  }
  for (const pid of [server.child.pid as number, ...workers]) process.kill(pid, 'SIGTERM') // as a service manager does
  await server.seen(/SIGTERM/)
  for (const { socket } of connections) {
    const { answers } = await exchange({ socket }, body, { until: 1 })
    t.match(
      answers,
      [{ status: 200, body: { access_token: String, refresh_token: String } }],
      'the store is still there',
    )
  }
  t.match(await server.ended(10_000), { code: 0 })
  t.notOk(workers.some(isAlive))
  const events = readEvents(join(server.folder, 'audit.jsonl'))
  t.equal(new Set(events.filter(({ event }) => event === 'token.issued').map(({ writer }) => writer)).size, 2)
  const changes = events.flatMap(({ change }) => change ?? [])
  t.same(
    changes.filter(change => change === 'crashed'),
    [],
  )
  t.equal(changes.filter(change => change === 'stopped').length, 2)
  t.match(await server.verify(), { code: 0 })
})

t.test('a start that fails says why, and leaves no process', async t => {
  const folder = prepare(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise(listening => taken.once('listening', listening))
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const env = {
    TLSBOUND_WORKERS: '2',
    TLSBOUND_PORT: String(port),
    TLSBOUND_TLS_CERT_FILE: 'certs/server.crt',
    TLSBOUND_TLS_KEY_FILE: 'certs/server.key',
    TLSBOUND_TLS_CLIENT_CA_FILE: 'certs/ca.crt',
    TLSBOUND_CLIENTS_FILE: 'clients.json',
  }
  const ended = await run(program[0], program.slice(1), folder, env)
  t.match(ended, { code: 1, stderr: /EADDRINUSE/ })
  t.notMatch(ended.stderr, /replaced/)
})
