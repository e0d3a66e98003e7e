// The client commands as processes with an input, beside a server in this process, whose certificates are in a folder like
// those of the demo.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { DemoPki } from '../../../src/pki/demo.ts'
import { basicEnvironment } from '../process/basic-environment.ts'
import type { Ended, Environment } from '../process/process.ts'
import { patience } from '../until.ts'

type Test = { teardown(end: () => unknown): void; notMatch(found: string, pattern: RegExp, name: string): unknown }

export interface RunningCommand {
  /** The output on stdout so far. */
  stdout(): string
  /** Waits until stdout matches. Rejects if the command ends first. */
  seen(pattern: RegExp): Promise<void>
  /** Stops reading its stdout. */
  closeOutput(): void
  readonly ended: Promise<Ended>
}

export interface CommandOptions {
  readonly cwd: string
  readonly env?: Environment
  /** All of stdin. */
  readonly input?: string | Buffer
}

const cli = resolve('src/cli/cli.ts')

/** Starts `tlsbound …`. It is killed after a minute, or when the test ends; stderr must never contain a token. */
export function startCommand(
  t: Test,
  args: readonly string[],
  { cwd, env, input = '' }: CommandOptions,
): RunningCommand {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd,
    env: { ...basicEnvironment, ...env },
    timeout: patience,
    killSignal: 'SIGKILL',
  })
  t.teardown(() => child.kill('SIGKILL'))
  child.stdin.on('error', () => {}) // it may end before it has read everything
  child.stdin.end(input)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', chunk => (output.stdout += chunk))
  child.stderr.on('data', chunk => (output.stderr += chunk))
  const ended = new Promise<Ended>((done, failed) => {
    child.once('error', failed).once('close', (code, signal) => {
      t.notMatch(output.stderr, /eyJ|tlsbound_[ar]t_\w/, `no token on stderr of tlsbound ${args[0]}`)
      done({ code: code ?? signal ?? 'unknown', ...output })
    })
  })
  return {
    stdout: () => output.stdout,
    closeOutput: () => void child.stdout.destroy(),
    ended,
    seen: pattern =>
      new Promise((done, failed) => {
        const look = () => {
          if (pattern.test(output.stdout)) done()
        }
        child.stdout.on('data', look)
        child.once('close', () => failed(new Error(`it ended before ${pattern}: ${output.stdout}${output.stderr}`)))
        look()
      }),
  }
}

/** Runs `tlsbound …` to its end. */
export function runCommand(t: Test, args: readonly string[], options: CommandOptions): Promise<Ended> {
  return startCommand(t, args, options).ended
}

/** Creates a folder with `certs/NAME.crt` and `certs/NAME.key` of every identity; it is removed when the test ends. */
export function makeDemoFolder(t: Pick<Test, 'teardown'>, pki: DemoPki): string {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'certs'))
  for (const [name, { certificate, key }] of Object.entries(pki)) {
    writeFileSync(join(folder, 'certs', `${name}.crt`), certificate)
    writeFileSync(join(folder, 'certs', `${name}.key`), key, { mode: 0o600 })
  }
  return folder
}

/** The options of an identity of such a folder. */
export function as(who: string): string[] {
  return ['--ca', 'certs/ca.crt', '--cert', `certs/${who}.crt`, '--key', `certs/${who}.key`]
}
