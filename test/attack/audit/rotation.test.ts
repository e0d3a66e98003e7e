// Event files that are rotated under load, by rename and by copytruncate, that cannot be reopened, or that a restarted server
// appends to. Every response has its event, and the chain continues. RE16, RE07, RE01.
import { copyFileSync, mkdirSync, renameSync, rmdirSync, truncateSync } from 'node:fs'
import t from 'tap'
import { hashLine } from '../../../src/audit/recorder.ts'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { type AuditedServer, eventsIn, startAudited, verifyFiles } from '../../helpers/server/audited-server.ts'
import { claimsOf } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

t.setTimeout(120_000)
const clients = ['alice', 'bob', 'alice', 'bob']

/** Lets clients request tokens until `rotate` has ended; returns the ids of all tokens in responses. */
async function ask(
  { server }: AuditedServer,
  rotate: (answered: readonly string[]) => Promise<void>,
): Promise<string[]> {
  const connections = await Promise.all(clients.map(name => server.connect(name)))
  const answered: string[] = []
  let over = false
  const loop = async (connection: TestConnection) => {
    while (!over) answered.push(claimsOf(await connection.token()).jti)
  }
  const loops = connections.map(loop)
  await rotate(answered).finally(() => (over = true))
  await Promise.all(loops)
  return answered
}
const issued = (...paths: string[]) =>
  eventsIn(...paths)
    .filter(({ event }) => event === 'token.issued')
    .map(({ jti }) => jti)

for (const how of ['within a second', 'on SIGHUP'])
  t.test(`follows a file that is renamed under load ${how}, without losing an event (RE16)`, async t => {
    const audited = await startAudited(t)
    const { server, path } = audited
    const old: string[] = []
    const times: number[] = []
    const answered = await ask(audited, async answered => {
      for (let round = 1; round <= 3; round++) {
        const goal = answered.length + 20
        await until(() => answered.length > goal)
        old.push(`${path}.${round}`)
        renameSync(path, `${path}.${round}`)
        if (how === 'on SIGHUP') server.child.kill('SIGHUP')
        const renamed = performance.now()
        await until(() => isThere(path) && eventsIn(path).length > 0)
        times.push(Math.round(performance.now() - renamed))
      }
    })
    t.match(await server.end('SIGTERM'), { code: 0 })
    t.ok(Math.min(...times) < (how === 'on SIGHUP' ? 500 : 1500), `after ${times.join(', ')} ms`)
    const events = issued(...old, path)
    t.same(events.toSorted(), answered.toSorted(), `as many events as responses (${answered.length})`)
    t.same((await verifyFiles(...old, path)).found, ['new_chain 0:1'])
  })

t.test(
  'loses at most the events between copy and truncation of a file that is rotated by copytruncate (RE16)',
  async t => {
    const audited = await startAudited(t)
    const { server, path } = audited
    const answered = await ask(audited, async answered => {
      await until(() => answered.length > 50)
      copyFileSync(path, `${path}.1`)
      truncateSync(path)
      const goal = answered.length + 50
      await until(() => answered.length > goal)
    })
    t.match(await server.end('SIGTERM'), { code: 0 })
    const { found } = await verifyFiles(`${path}.1`, path)
    t.same(
      found.filter(one => !/^(new_chain 0:1|broken 1:1|torn 0:\d+)$/.test(one)),
      [],
      'only the gap is reported',
    )
    const events = issued(`${path}.1`, path)
    t.equal(new Set(events).size, events.length, 'no duplicates')
    const gap = answered.filter(jti => !events.includes(jti))
    t.ok(gap.length <= 20, `${gap.length} of ${answered.length}`)
    t.same(found.includes('broken 1:1'), gap.length > 0, 'verification reports the loss')
  },
)

t.test('refuses requests that need an event while the file cannot be reopened (RE07)', async t => {
  const { server, path } = await startAudited(t)
  const alice = await server.connect('alice')
  const token = await alice.token()
  renameSync(path, `${path}.1`)
  mkdirSync(path) // a directory in place of the file
  server.child.kill('SIGHUP')
  let answer = await alice.requestToken()
  for (let tries = 0; answer.status === 200 && tries < 5000; tries++) answer = await alice.requestToken()
  t.match(answer, { status: 503, body: { reason: 'store_unavailable' } })
  t.match(await alice.get('/api/whoami'), { status: 503 }, 'refusals fail too')
  t.match(await alice.get('/api/whoami', token), { status: 200 }, 'requests without an event succeed')
  await server.seen(/EISDIR[^\n]*security events cannot be written/)
  rmdirSync(path)
  t.match(await alice.requestToken(), { status: 200 }, 'recovers by itself')
  t.match(await server.end('SIGTERM'), { code: 0 })
  t.same((await verifyFiles(`${path}.1`, path)).found, ['new_chain 0:1'])
})

t.test('continues the chain after the server was killed or stopped (RE01)', async t => {
  const { server, path, restart } = await startAudited(t, { TLSBOUND_AUDIT_FORMAT: 'ocsf' })
  await (await server.connect('alice')).token()
  t.match(await server.end('SIGKILL'), { code: 'SIGKILL' })
  const second = await restart()
  await (await second.connect('alice')).token()
  t.match(await second.end('SIGTERM'), { code: 0 })
  const third = await restart()
  await (await third.connect('mallory')).requestToken()
  await third.end('SIGTERM')
  const { end, ...verdict } = await verifyFiles(path)
  t.same(
    verdict,
    { found: ['new_chain 0:1'], problems: 0, events: 4 },
    'three decisions, and the key that the first start added',
  )
  t.equal(end, hashLine(JSON.stringify(eventsIn(path).at(-1))))
})

function isThere(path: string): boolean {
  try {
    eventsIn(path)
    return true
  } catch {
    return false
  }
}
