// Runs the commands of the how-to pages of an installed service, with stand-ins for systemd and its user, and those for
// PostgreSQL with a real one. Needs the Debian packages curl, jq, openssl, postgresql and sqlite3.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findFreePort } from '../../src/testing/free-port.ts'
import { parseBlocks, runPages } from '../helpers/process/page.ts'
import { run, runTlsbound, startTlsbound } from '../helpers/process/process.ts'
import { serviceSetups } from '../helpers/process/service-setups.ts'
import { startPostgres } from '../helpers/server/postgres.ts'
import { register } from '../helpers/tokens/grants.ts'

t.setTimeout(1_200_000) // starts and stops servers one after the other

await runPages(t, serviceSetups)

t.test('restores a PostgreSQL backup with the commands of the page', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const blocks = parseBlocks(readFileSync('docs/how-to/back-up-and-restore.md', 'utf8'))
  const [backup = '', restore = ''] = blocks.filter(({ notRun }) => notRun !== undefined).map(({ text }) => text)
  t.match([backup, restore], [/pg_dump/, /pg_restore/])

  const folder = t.testdir()
  mkdirSync(join(folder, 'tlsbound'))
  const env = { TLSBOUND_STATE_URL: postgres.url('tlsbound'), TLSBOUND_OPS_PORT: String(await findFreePort()) }
  const paste = (command: string) =>
    run('bash', ['--norc', '-euo', 'pipefail', '-c', command.replaceAll('/var/backups', folder)], folder, env)
  const ops = { TLSBOUND_OPS_URL: `http://127.0.0.1:${env.TLSBOUND_OPS_PORT}` }
  const withServer = async (...args: string[]) => {
    const server = await startTlsbound(t, folder, env)
    const ended = await runTlsbound(args, folder, ops)
    await server.end('SIGTERM')
    return ended
  }

  writeFileSync(join(folder, 'worker.json'), JSON.stringify(register('worker')))
  t.match(await withServer('clients', 'add', 'worker.json'), { code: 0 })
  t.match(await paste(backup), { code: 0, stderr: '' }, 'backup')
  t.match(await withServer('clients', 'remove', 'worker'), { code: 0 })
  t.match(await paste(restore), { code: 0, stderr: '' }, 'restore')
  t.match(await withServer('clients', 'list'), { code: 0, stdout: /^worker .*enabled/m })
})
