// A real PostgreSQL for tests: a new cluster in a temporary folder, on a free port of 127.0.0.1, with a user without rights
// and a password. Needs the Debian package postgresql (any version from 13).
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Postgres {
  readonly port: number
  /** The folder of the cluster; its user may read and write it. */
  readonly folder: string
  /** The URL of a database, with the tables in a schema of this name. */
  url(schema: string, parameters?: string): string
  /** Restarts it. `settings` are of postgresql.conf. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>
  /** `SIGQUIT`: immediately, as in a crash. `SIGINT`: orderly, but ending all connections. */
  stop(signal?: 'SIGQUIT' | 'SIGINT'): Promise<void>
  /** Stops all its processes until `SIGCONT`: connections stay open without responses. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Gives a file to its user, readable by that user only. */
  own(path: string): void
  /** Its log since the latest start, at most a megabyte. */
  log(): string
  close(): Promise<void>
}

/** Where the programs are. @throws Error that names the missing package. */
function findPrograms(): string {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((one, other) => Number(other) - Number(one)) : []
  const folder = versions.map(version => join(root, version, 'bin')).find(path => existsSync(join(path, 'initdb')))
  if (folder === undefined) throw new Error(`${root} has no initdb: install the Debian package postgresql`)
  return folder
}

/** Makes and starts a cluster. Close it when the test ends. */
export async function startPostgres(): Promise<Postgres> {
  const programs = findPrograms()
  // The server refuses to run as root; the user nobody exists everywhere.
  const isRoot = process.getuid?.() === 0
  const nobody = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }))
  const group = Number(execFileSync('id', ['-g', 'nobody'], { encoding: 'utf8' }))
  const user = isRoot ? { uid: nobody, gid: group } : {}
  const own = (path: string) => {
    chmodSync(path, existsSync(join(path, '.')) ? 0o700 : 0o600)
    if (isRoot) chownSync(path, nobody, group)
  }

  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-postgres-'))
  own(folder)
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, 'a p@ss/word')
  own(passwordFile)
  const data = join(folder, 'data')
  const initdb = ['-D', data, '-U', 'tester', '-A', 'scram-sha-256', '--pwfile', passwordFile, '-E', 'UTF8']
  execFileSync(join(programs, 'initdb'), [...initdb, '--locale=C', '--no-sync', '--no-instructions'], {
    ...user,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const port = await findPort()
  let child: ChildProcess | undefined
  let log = ''
  const kill = () => void child?.kill('SIGQUIT')
  process.on('exit', kill)

  const postgres: Postgres = {
    port,
    folder,
    own,
    url: (schema, parameters = '') =>
      `postgres://tester:a%20p%40ss%2Fword@127.0.0.1:${port}/postgres?options=-c%20search_path%3D${schema}${parameters}`,
    async start(settings = {}) {
      const all = {
        listen_addresses: '127.0.0.1',
        port: String(port),
        unix_socket_directories: '',
        fsync: 'off', // no data here has to survive a crash
        shared_buffers: '16MB',
        lc_messages: 'C',
        ...settings,
      }
      const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const started = spawn(join(programs, 'postgres'), ['-D', data, ...options], {
        ...user,
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child = started
      log = ''
      await new Promise<void>((resolve, reject) => {
        started.stderr.on('data', chunk => {
          if (log.length < 1_000_000) log += chunk
          if (/ready to accept (read-only )?connections/.test(log)) resolve()
        })
        started.once('error', reject)
        started.once('exit', () => reject(new Error(`PostgreSQL has not started: ${log}`)))
      })
    },
    async stop(signal = 'SIGQUIT') {
      const running = child
      if (running === undefined) return
      child = undefined
      const exited = new Promise(resolve => running.once('exit', resolve))
      running.kill(signal)
      await exited
    },
    signalAll(signal) {
      const pid = child?.pid as number
      const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
      for (const each of [pid, ...children.trim().split(/\s+/).map(Number)])
        try {
          process.kill(each, signal)
        } catch {
          // The previous one has just ended.
        }
    },
    log: () => log,
    async close() {
      process.off('exit', kill)
      await postgres.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await postgres.start()
  return postgres
}

/** Returns a port that was free a moment ago. */
function findPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
