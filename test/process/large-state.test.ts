// A state that a thread loads while the server starts: revoked tokens stay revoked, valid ones valid, however the last run has ended.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import Fastify from 'fastify'
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { demoRegistrations } from '../../src/process/demo.ts'
import { type StartServerOptions, startServer } from '../../src/process/embed.ts'
import { openDatabase } from '../../src/store/sqlite-file.ts'
import { beginLoading } from '../../src/store/sqlite-loading.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { findFreePort } from '../../src/testing/free-port.ts'
import { revoke } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const pki = makeDemoPki()
const bound = { token_binding: 'certificate' }

/** Writes a state that is large enough, with revocations of unknown tokens. */
async function writeLarge(path: string): Promise<void> {
  openDatabase(path).close()
  const database = new DatabaseSync(path)
  database.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
    INSERT INTO revocations SELECT i, iif(i % 2, 'token', 'grant'), printf('%036d', i), 1700000000 + i, 4000000000 + i FROM n;
    UPDATE news_sequence SET value = 150000`)
  database.close()
  const loading = beginLoading(path, true)
  if (loading === undefined) throw new Error('it is too small for a thread')
  await loading.cancel()
}

t.test('a server starts with a large state, and fails to', async t => {
  const folder = t.testdir()
  const path = join(folder, 'state %20?#.db')
  await writeLarge(path)
  const port = await findFreePort()
  const warnings: string[] = []
  const logger = Object.assign(Object.create(Fastify().log), { warn: (text: string) => void warnings.push(text) })
  async function start(options: Partial<StartServerOptions> = { clients: demoRegistrations }, settings: object = {}) {
    const server = await startServer({
      settings: { port, opsPort: 0, dataDir: folder, stateUrl: `sqlite:${path}`, ...settings },
      tls: { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate },
      logger,
      onEvent() {},
      ...options,
    })
    t.teardown(() => server.close())
    const { certificate: cert, key } = pki.alice
    const tls = { host: '127.0.0.1', port, servername: 'localhost', cert, key, ca: pki.ca.certificate }
    const alice = await openConnection(tls, 'alice')
    t.teardown(() => alice.close())
    const statusOf = async (token: string) => (await alice.get('/api/whoami', token)).status
    return { ...server, alice, statusOf }
  }
  let server = await start()
  const [valid, revoked, later] = [
    await server.alice.token(bound),
    await server.alice.token(bound),
    await server.alice.token(bound),
  ]
  t.match(await revoke(server.alice, revoked), { status: 200 })
  await server.close()

  server = await start()
  t.equal(await server.statusOf(valid), 200, 'the file is intact')
  t.equal(await server.statusOf(revoked), 401)
  t.match(await revoke(server.alice, later), { status: 200 })
  await server.close()

  writeFileSync(join(folder, 'clients.json'), '[')
  await t.rejects(start({}, { clientsFile: join(folder, 'clients.json') }), { message: /clients\.json/ })
  server = await start()
  t.equal(await server.statusOf(valid), 200, 'a start that failed has not changed it')
  t.equal(await server.statusOf(later), 401)
  await server.close()
  t.notMatch(warnings.join(), /could be accepted again/)

  const content = readFileSync(path)
  content[content.indexOf('75000'.padStart(36, '0')) + 35] = 0x31
  writeFileSync(path, content)
  for (const attempt of ['first', 'second']) await t.rejects(start(), { message: /is damaged/ }, attempt)
})
