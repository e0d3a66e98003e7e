// Runs the command line as processes: run to the end, or a server that is started, used and ended.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ConnectTlsOptions } from '../../../src/outgoing/connect.ts'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { findFreePort } from '../../../src/testing/free-port.ts'
import { patience } from '../until.ts'
import { basicEnvironment } from './basic-environment.ts'

export type Environment = Readonly<Record<string, string>>

export interface Ended {
  /** The exit code, or the name of the signal that ended it. */
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface RunningServer {
  readonly port: number
  readonly child: ChildProcess
  /** Its output so far. */
  stdout(): string
  stderr(): string
  /** Waits until stderr matches, from character `since` on. */
  seen(pattern: RegExp, since?: number): Promise<void>
  /** Connects as one of the identities in a folder of certificates. */
  connect(who: string | null, options?: Partial<ConnectTlsOptions> & { folder?: string }): Promise<TestConnection>
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals, limit?: number): Promise<Ended>
  /** Waits for the end, at most `limit` milliseconds; after that the server is killed. */
  ended(limit?: number): Promise<Ended>
}

/** No ops listener, since its port is fixed. */
const basics = { ...basicEnvironment, TLSBOUND_OPS_PORT: '0' }

/** Runs a program to its end, which comes after `limit` milliseconds at the latest. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Environment = {},
  limit = patience,
): Promise<Ended> {
  return watch(spawn(command, [...args], { cwd, env: { ...basics, ...env } })).ended(limit)
}

/** Runs `tlsbound …` to its end. */
export function runTlsbound(args: readonly string[], cwd: string, env: Environment = {}): Promise<Ended> {
  return run(process.execPath, [resolve('src/cli/cli.ts'), ...args], cwd, env)
}

/**
 * Starts `tlsbound serve` on a free port in a folder, or another command, and waits until it listens. Otherwise rejects with
 * its stderr.
 */
export async function startTlsbound(
  t: { teardown(end: () => unknown): void },
  cwd: string,
  env: Environment = {},
  attempts = 3,
  server: readonly string[] = [process.execPath, resolve('src/cli/cli.ts'), 'serve'],
): Promise<RunningServer> {
  const port = Number(env.TLSBOUND_PORT ?? (await findFreePort()))
  const full = { ...basics, TLSBOUND_PORT: String(port), ...env }
  // Without the NODE_OPTIONS that the test runner sets for its children: they catch signals that a server ignores.
  const options = env.NODE_OPTIONS === undefined ? ['-u', 'NODE_OPTIONS'] : []
  const child = spawn('env', [...options, ...server], { cwd, env: full })
  const connections = new Set<TestConnection>()
  const watched = watch(child)
  t.teardown(() => {
    for (const connection of connections) connection.close()
    child.kill('SIGKILL')
    return watched.ended(patience)
  })
  try {
    await watched.seen(/listening for/)
  } catch (error) {
    const taken = env.TLSBOUND_PORT === undefined && /EADDRINUSE/.test(watched.stderr) // by another process, just now
    if (!taken || attempts === 1) throw error
    return startTlsbound(t, cwd, env, attempts - 1, server)
  }
  const pem = (folder: string, name: string) => readFileSync(join(cwd, folder, name), 'utf8')
  return {
    port,
    child,
    stdout: () => watched.stdout,
    stderr: () => watched.stderr,
    seen: watched.seen,
    async connect(who, { folder = 'certs', ...options } = {}) {
      const identity = who !== null && { cert: pem(folder, `${who}.crt`), key: pem(folder, `${who}.key`) }
      const tls = {
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        ca: pem(folder, 'ca.crt'),
        ...identity,
        ...options,
      }
      const connection = await openConnection(tls, who ?? 'nobody')
      connections.add(connection)
      return connection
    },
    end(signal, most = patience) {
      child.kill(signal)
      return watched.ended(most)
    },
    ended: (most = patience) => watched.ended(most),
  }
}

function watch(child: ChildProcess) {
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', chunk => (output.stdout += chunk))
  child.stderr?.on('data', chunk => (output.stderr += chunk))
  const closed = new Promise<number | string>((done, failed) => {
    child.once('error', failed).once('close', (code, signal) => done(code ?? signal ?? 'unknown'))
  })
  return {
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    async ended(most: number): Promise<Ended> {
      const timer = setTimeout(() => child.kill('SIGKILL'), most)
      const code = await closed
      clearTimeout(timer)
      return { code, ...output }
    },
    seen: (pattern: RegExp, since = 0) =>
      new Promise<void>((done, failed) => {
        const timer = setTimeout(() => finish(new Error(`${pattern} not found in: ${output.stderr}`)), patience)
        const look = () => pattern.test(output.stderr.slice(since)) && finish()
        const gone = () => finish(new Error(`it ended: ${output.stderr}`))
        const finish = (error?: Error) => {
          clearTimeout(timer)
          child.stderr?.off('data', look)
          child.off('close', gone)
          if (error) failed(error)
          else done()
        }
        child.stderr?.on('data', look)
        child.once('close', gone)
        look()
      }),
  }
}
