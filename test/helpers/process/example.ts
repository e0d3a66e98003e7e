// The examples as processes, with other ports than those that they name.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { patience } from '../until.ts'
import { basicEnvironment } from './basic-environment.ts'
import type { Environment } from './process.ts'

interface Teardown {
  teardown(end: () => unknown): void
}

/** Replaces text, all occurrences. Throws where the text to replace is missing. */
export function replaceIn(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`"${from}" is missing in:\n${text}`)
    return changed.replaceAll(from, to)
  }, text)
}

/** The source of an example, for the issuer's port instead of 8443. */
export function readExample(name: string, port: number, changes: Readonly<Record<string, string>> = {}): string {
  const source = readFileSync(join('examples', name), 'utf8').replaceAll('localhost:8443', `localhost:${port}`)
  return replaceIn(source, changes)
}

/** Starts a server, and waits until its port accepts connections. The process ends with the test. */
export async function startExample(
  t: Teardown,
  port: number,
  command: readonly [string, ...string[]],
  cwd: string,
  env: Environment = {},
): Promise<void> {
  const child = spawn(command[0], command.slice(1), {
    cwd,
    env: { ...basicEnvironment, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return closed
  })
  let errors = ''
  child.stderr.on('data', chunk => (errors += chunk))
  const ended = closed.then(() => Promise.reject(new Error(`${command.join(' ')} ended: ${errors}`)))
  ended.catch(() => {}) // it ends with the test, too
  const until = performance.now() + patience
  while (!(await Promise.race([acceptsConnections(port), ended]))) {
    if (performance.now() > until) throw new Error(`${command.join(' ')} does not listen: ${errors}`)
    await new Promise(done => setTimeout(done, 50))
  }
}

function acceptsConnections(port: number): Promise<boolean> {
  const socket = connectTcp(port, '127.0.0.1')
  return new Promise(done => {
    socket.once('connect', () => done(true)).once('error', () => done(false))
  }).then(is => {
    socket.destroy()
    return is === true
  })
}

/** Connects to a port of this machine with the certificate of a demo identity, or without one. */
export async function connectAs(t: Teardown, port: number, who: string | null, certs: string): Promise<TestConnection> {
  const pem = (name: string) => readFileSync(join(certs, name), 'utf8')
  const identity = who !== null && { cert: pem(`${who}.crt`), key: pem(`${who}.key`) }
  const to = { host: '127.0.0.1', port, servername: 'localhost', ca: pem('ca.crt') }
  const connection = await openConnection({ ...to, ...identity }, who ?? 'nobody')
  t.teardown(() => connection.close())
  return connection
}
