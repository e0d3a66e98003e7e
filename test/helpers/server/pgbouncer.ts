// A real PgBouncer in front of a test's PostgreSQL, on a free port of 127.0.0.1. Needs the Debian package pgbouncer.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { findFreePort } from '../../../src/testing/free-port.ts'
import type { Postgres } from './postgres.ts'

export interface PgBouncer {
  readonly port: number
  /** Returns a URL of PostgreSQL that connects through this pooler. */
  through(url: string): string
  /** Makes it open new connections to PostgreSQL from now on. */
  reconnect(): Promise<void>
}

const program = '/usr/sbin/pgbouncer'

/** Startup parameters that it drops instead of refusing the connection. */
export const dropped = ['options', 'statement_timeout', 'idle_in_transaction_session_timeout']

/** Starts one that ends with the test. @throws Error (rejects) when the package is missing. */
export async function startPgBouncer(
  t: { teardown(end: () => unknown): void },
  postgres: Postgres,
  mode: 'session' | 'transaction',
  ignored: readonly string[] = dropped,
): Promise<PgBouncer> {
  if (!existsSync(program)) throw new Error(`${program} is missing: install the Debian package pgbouncer`)
  const port = await findFreePort()
  const at = (name: string) => join(postgres.folder, `pgbouncer-${port}-${name}`)
  const write = (name: string, text: string) => {
    writeFileSync(at(name), text)
    postgres.own(at(name))
    return at(name)
  }
  const { username, password } = new URL(postgres.url('x'))
  const users = write('users.txt', `"${username}" "${decodeURIComponent(password)}"\n`)
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    admin_users: username,
    pool_mode: mode,
    ...(ignored.length > 0 && { ignore_startup_parameters: ignored.join(',') }),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const database = `postgres = host=127.0.0.1 port=${postgres.port} dbname=postgres`
  const file = write('pgbouncer.ini', `[databases]\n${database}\n[pgbouncer]\n${lines.join('\n')}\n`)
  const id = (option: string) => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }))
  const user = process.getuid?.() === 0 ? { uid: id('-u'), gid: id('-g') } : {} // it refuses to run as root
  const child = spawn(program, [file], { ...user, cwd: postgres.folder, stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => {
    child.kill('SIGQUIT')
    return new Promise(ended => (child.exitCode === null ? child.once('exit', ended) : ended(undefined)))
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', chunk => {
      log += chunk
      if (/process up/.test(log)) resolve()
    })
    child.once('error', reject).once('exit', () => reject(new Error(`PgBouncer has not started: ${log}`)))
  })
  const through = (url: string) => url.replace(`:${postgres.port}/`, `:${port}/`)
  return {
    port,
    through,
    async reconnect() {
      const admin = new Client({ connectionString: through(postgres.url('x')).replace(/\/postgres\?.*/, '/pgbouncer') })
      await admin.connect()
      await admin.query('RECONNECT')
      await admin.end()
    },
  }
}
