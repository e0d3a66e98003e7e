// Other TLS programs as clients of a server in this process, with certificates in files. A missing program fails the test
// with the name of its Debian package; no test is skipped.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestServer } from '../../../src/testing/server.ts'
import { patience } from '../until.ts'

type Scope = { teardown(end: () => void): void }

const packages = { curl: 'curl', openssl: 'openssl', 'gnutls-cli': 'gnutls-bin', python3: 'python3' }

export type Program = keyof typeof packages

export interface Output {
  readonly status: number | null
  readonly stdout: string
  /** Both streams in order, for programs that write to either. */
  readonly all: string
}

export interface Peer {
  /** All output so far. */
  readonly output: string
  write(text: string): void
  /** Waits until the output from `since` on matches. Rejects if the program ends first. */
  until(pattern: RegExp, since?: number): Promise<RegExpExecArray>
  /** Closes its input. */
  end(): void
  readonly ended: Promise<Output>
}

/** Starts a program in `cwd`. It is killed after a minute, or when the test ends. */
export function start(t: Scope, program: Program, args: readonly string[], cwd: string): Peer {
  const child = spawn(program, args, {
    cwd,
    timeout: patience,
    killSignal: 'SIGKILL',
    env: { ...process.env, LC_ALL: 'C' },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stdout = ''
  let all = ''
  let over = false
  const listeners = new Set<() => void>()
  const changed = () => {
    for (const listener of [...listeners]) listener()
  }
  child.stdout.on('data', chunk => (stdout += chunk))
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => {
      all += chunk
      changed()
    })
  child.stdin.on('error', () => {}) // it may end before it has read everything
  const ended = new Promise<Output>((resolve, reject) => {
    child.on('error', cause => reject(missing(program, cause)))
    child.on('close', status => resolve({ status, stdout, all }))
  })
  ended
    .then(
      () => {},
      () => {},
    )
    .then(() => {
      over = true
      changed()
    })
  return {
    get output() {
      return all
    },
    write: text => void child.stdin.write(text),
    until: (pattern, since = 0) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(all.slice(since))
          if (match === null && !over) return
          listeners.delete(look)
          if (match !== null) resolve(match)
          else ended.then(() => reject(new Error(`${program} ended before ${pattern}: ${all}`)), reject)
        }
        listeners.add(look)
        look()
      }),
    end: () => void child.stdin.end(),
    ended,
  }
}

/** Runs a program to its end, with `input` as all of its input. */
export function run(
  t: Scope,
  program: Program,
  args: readonly string[],
  { cwd, input = '' }: { cwd: string; input?: string },
): Promise<Output> {
  const peer = start(t, program, args, cwd)
  peer.write(input)
  peer.end()
  return peer.ended
}

/**
 * Creates a temporary folder with NAME.crt and NAME.key of every identity in the server's PKI; it is removed when the test
 * ends.
 */
export function writePki(t: Scope, { pki }: Pick<TestServer, 'pki'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-peers-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, { certificate, key }] of Object.entries(pki)) {
    writeFileSync(join(folder, `${name}.crt`), certificate)
    writeFileSync(join(folder, `${name}.key`), key, { mode: 0o600 })
  }
  return folder
}

/** Arguments of `openssl s_client` for a connection to `port`, with alice's certificate. */
export function asAlice(port: number, ...more: readonly string[]): string[] {
  const identity = ['-CAfile', 'ca.crt', '-cert', 'alice.crt', '-key', 'alice.key']
  return ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', ...identity, ...more]
}

function missing(program: Program, cause: Error): Error {
  return new Error(`this test needs ${program}: install the Debian package ${packages[program]}`, { cause })
}
