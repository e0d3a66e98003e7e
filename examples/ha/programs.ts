// Starts and stops the programs of this example: PostgreSQL, two tlsbound servers, and HAProxy.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A running program. */
export interface Program {
  /** Sends a signal, and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>
  /** The end of what it has written to stderr. */
  log(): string
}

interface Start {
  readonly args: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** The signal that ends it at once, and what it has started. Default SIGKILL. */
  readonly endSignal?: NodeJS.Signals
  /** Resolves to true when it can be used. */
  readonly isReady: (log: string) => boolean | Promise<boolean>
}

interface Running {
  readonly endSignal: NodeJS.Signals
  /** Resolves when it has ended. */
  readonly ended: Promise<void>
}

const running = new Map<ChildProcess, Running>()
process.on('exit', () => {
  for (const child of running.keys()) child.kill('SIGKILL')
})
let isOver = false

/** Ends every program, also one that is still starting, and waits for that. No further program starts. */
export async function endPrograms(): Promise<void> {
  isOver = true
  for (const [child, { endSignal }] of running) child.kill(endSignal)
  await Promise.allSettled([...running.values()].map(({ ended }) => ended))
}

/** Starts a program, and waits until it can be used. */
export async function start(program: string, options: Start): Promise<Program> {
  const { args, cwd, env = {}, uid, gid, endSignal = 'SIGKILL', isReady } = options
  if (isOver) throw new Error('interrupted')
  const child = spawn(program, [...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(uid !== undefined && gid !== undefined && { uid, gid }),
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk).slice(-20_000)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => resolve(void running.delete(child)))
  })
  ended.catch(() => running.delete(child))
  running.set(child, { endSignal, ended })
  const deadline = performance.now() + 60_000
  while (!(await isReady(log))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline)
      throw new Error(`${program} has not started: ${log.slice(-2000)}`)
    await Promise.race([ended, pause(50)])
  }
  return {
    async end(signal) {
      child.kill(signal)
      await ended
    },
    log: () => log,
  }
}

/** Finds a program in PATH and in the folders where Debian installs servers. */
function findProgram(name: string, debian: string): string {
  const versions = '/usr/lib/postgresql'
  const postgres = existsSync(versions) ? readdirSync(versions).map(version => join(versions, version, 'bin')) : []
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', ...postgres.toReversed()]
  const found = folders.map(folder => join(folder, name)).find(path => existsSync(path))
  if (found === undefined)
    throw new Error(`there is no ${name} in PATH: install it (Debian: apt-get install ${debian})`)
  return found
}

/** Creates a database cluster in a folder. Returns how to start it; `passwordFile` has the password of the user tlsbound. */
export function createPostgres(folder: string, port: number, passwordFile: string): () => Promise<Program> {
  const [initdb, postgres] = [findProgram('initdb', 'postgresql'), findProgram('postgres', 'postgresql')]
  // PostgreSQL refuses to run as root.
  const idOf = (option: string) => Number(execFileSync('id', [option, 'nobody']))
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined
  const data = join(folder, 'postgres')
  const pwfile = join(folder, 'initial-password')
  execFileSync('cp', [passwordFile, pwfile])
  execFileSync('mkdir', [data])
  if (user !== undefined) for (const path of [data, pwfile]) chownSync(path, user.uid, user.gid)
  chmodSync(data, 0o700)
  const access = ['-U', 'tlsbound', '-A', 'scram-sha-256', '--pwfile', pwfile]
  execFileSync(initdb, ['-D', data, ...access, '-E', 'UTF8', '--locale=C', '--no-instructions'], {
    ...user,
    cwd: data,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', lc_messages: 'C' }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return () =>
    start(postgres, {
      ...{ args: ['-D', data, ...options], cwd: data, ...user, endSignal: 'SIGINT' },
      isReady: log => /ready to accept connections/.test(log),
    })
}

/** Starts HAProxy with the configuration beside this file, which takes the ports from variables. */
export function startHaproxy(folder: string, ports: Readonly<Record<string, number>>): Promise<Program> {
  const config = fileURLToPath(new URL('haproxy.cfg', import.meta.url))
  const env = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]))
  const [listen] = Object.values(ports) as [number]
  return start(findProgram('haproxy', 'haproxy'), {
    ...{ args: ['-db', '-f', config], cwd: folder, env },
    isReady: () => isListening(listen),
  })
}

/** Starts a tlsbound server, and waits until it can decide on requests. */
export function startServer(cwd: string, env: Readonly<Record<string, string>>): Promise<Program> {
  return start(process.execPath, {
    ...{ args: [cli, 'serve'], cwd, env },
    isReady: () =>
      fetch(`http://127.0.0.1:${env.TLSBOUND_PROBE_PORT}/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
  })
}

/** Runs a `tlsbound` command to its end. */
export function tlsbound(cwd: string, ...args: string[]): void {
  execFileSync(process.execPath, [cli, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
}

/** The command of this package: beside the module that `tlsbound/client` resolves to. */
const client = import.meta.resolve('tlsbound/client')
const cli = fileURLToPath(new URL(`../cli/cli${client.slice(client.lastIndexOf('.'))}`, client))

/** Returns ports that were free a moment ago. */
export function findPorts(count: number): Promise<number[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>(listening => void server.listen(0, '127.0.0.1', listening))
      const address = server.address()
      await new Promise(closed => void server.close(closed))
      return typeof address === 'object' && address !== null ? address.port : 0
    }),
  )
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** Writes a secret that only this user can read. */
export function writeSecret(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
}
