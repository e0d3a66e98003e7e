// Why no decision can be made: each detail of store_unavailable that needs no database. The others are in
// test/store/postgres-*.test.ts and test/ops/readiness.test.ts. I8.
import t from 'tap'
import { details } from '../../src/core/details.ts'
import { findObstacle } from '../../src/ops/health.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { provoke } from '../helpers/server/details.ts'
import { callOps } from '../helpers/server/ops.ts'
import { register } from '../helpers/tokens/grants.ts'

const sentences = details.store_unavailable
const faulty: { -readonly [name in keyof Store]?: Store[name] } = {}
const real = openSqlite(':memory:')
const store = new Proxy(real, {
  get: (target, name: keyof Store) => {
    const member = target[name]
    if (typeof member !== 'function') return member
    return (...values: unknown[]) => Reflect.apply((faulty[name] ?? member) as () => unknown, target, values)
  },
})
const server = await startTestServer({ ops: true, store, clients: [register('alice')] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const ready = () => callOps(server, 'GET', '/ready')

t.test('reports a silent or unresponsive store in the event and in /ready', async t => {
  const token = await alice.token()
  const use = () => alice.get('/api/whoami', token)
  t.match(await use(), { status: 200 }, 'control')
  t.match(await ready(), { status: 200 }, 'control')

  faulty.millisecondsSinceSync = () => 6000
  await provoke(t, server, 'store_unavailable', 'stale', { send: use, status: 503 })
  t.match(await ready(), { status: 503, body: { problems: [`${sentences.stale.cause} ${sentences.stale.remedy}`] } })
  delete faulty.millisecondsSinceSync

  faulty.check = () => Promise.reject(new Error('the disk is gone'))
  t.match(await ready(), {
    status: 503,
    body: { problems: [`${sentences.no_answer.cause} ${sentences.no_answer.remedy}`] },
  })
  t.ok(
    server.log.some(line => line.includes('the disk is gone')),
    'the log contains the error',
  )
  delete faulty.check
  t.match(await use(), { status: 200 }, 'control')
  t.match(await ready(), { status: 200 }, 'control')
})

t.test('is not ready when it cannot write events or does not listen', async t => {
  const parts = { store, isServing: () => true, isRecording: () => true }
  t.equal(await findObstacle(parts), undefined, 'control')
  t.match(await findObstacle({ ...parts, isRecording: () => false }), { detail: 'event_not_written' })
  alice.close()
  await server.app.close()
  t.match(await ready(), {
    status: 503,
    body: { problems: [`${sentences.not_listening.cause} ${sentences.not_listening.remedy}`] },
  })
  t.match(await findObstacle({ ...parts, isServing: () => false }), { detail: 'not_listening' })
})
