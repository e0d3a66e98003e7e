// /ready reports why decisions cannot be stored, and recovers by itself. RE04, RE06, RE07.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import t from 'tap'
import { openPostgres } from '../../src/store/postgres.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { callOps } from '../helpers/server/ops.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { register, startGrant } from '../helpers/tokens/grants.ts'
import { mountDisk } from '../store/disk.ts'
import { recovery } from '../store/failures.ts'

t.setTimeout(120_000)
const clients = [register('alice')]

/** Rejects until /ready responds with this status. */
async function becomes(server: TestServer, status: number) {
  let answer = await callOps(server, 'GET', '/ready')
  await recovery(async () => {
    answer = await callOps(server, 'GET', '/ready')
    if (answer.status !== status) throw new Error(`still ${answer.status} ${answer.text}`)
  })
  return answer
}

t.test('is not ready with a read-only database, and says why', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const server = await startTestServer({ clients, ops: true, store: openPostgres(postgres.url('ready')) })
  t.teardown(() => server.close())
  const alice = await server.connect('alice')
  await startGrant(alice)
  t.match(await callOps(server, 'GET', '/ready'), { status: 200, body: { status: 'ready' } }, 'control')
  const set = async (value: string) => {
    const client = new Client(postgres.url('public'))
    await client.connect()
    await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`)
    await client.query('SELECT pg_reload_conf()')
    await client.end()
  }
  await set('on')
  t.match(await becomes(server, 503), {
    headers: { 'retry-after': '1' },
    body: {
      reason: 'store_unavailable',
      problems: [
        /^The store is read-only: its database, file or disk does not allow writes, or it is a standby\. Connect/,
      ],
    },
  })
  t.match(server.log.join(''), /default_transaction_read_only is on\): connect to the primary/, 'the log has the cause')
  t.match(await callOps(server, 'GET', '/metrics'), { text: /^tlsbound_ready 0$/m })
  t.match(await alice.requestToken(), { status: 503 }, 'nothing can be issued that must be stored')
  t.match(server.events.at(-1), { event: 'token.refused', reason: 'store_unavailable', detail: 'read_only' })
  await set('off')
  await becomes(server, 200)
  await startGrant(alice)
})

t.test('is not ready with a full disk, and says why', async t => {
  const disk = mountDisk(8192)
  if (disk === undefined) return t.comment('mounting is not permitted here')
  const path = join(disk.folder, 'state.db')
  const server = await startTestServer({ clients, ops: true, store: openSqlite(path) })
  t.teardown(async () => {
    await server.close()
    disk.unmount()
  })
  const alice = await server.connect('alice')
  await startGrant(alice)
  t.match(await callOps(server, 'GET', '/ready'), { status: 200 }, 'control')
  const ballast = join(disk.folder, 'ballast')
  t.throws(() => writeFileSync(ballast, Buffer.alloc(10_000_000)), { code: 'ENOSPC' })
  const problem = /^The disk of the store is full\. Free or add disk space; the server recovers without a restart\.$/
  t.match(await becomes(server, 503), { body: { reason: 'store_unavailable', problems: [problem] } })
  t.match(await alice.requestToken(), { status: 503 })
  t.match(server.events.at(-1), { event: 'token.refused', reason: 'store_unavailable', detail: 'full' })
  rmSync(ballast)
  await becomes(server, 200)
  await startGrant(alice)
})
