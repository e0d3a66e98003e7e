// Starts `tlsbound sidecar` as a process, sends it signals and waits for its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { basicEnvironment } from '../process/basic-environment.ts'
import type { Ended, Environment } from '../process/process.ts'

export interface RunningSidecar {
  /** The first line of its output: where it listens. */
  readonly address: string
  readonly pid: number
  stderr(): string
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Ended>
}

/** Starts it in a folder and waits until it listens. Otherwise rejects with its stderr. It is killed when the test ends. */
export async function startSidecarCommand(
  t: { teardown(end: () => unknown): void },
  cwd: string,
  args: readonly string[],
  env: Environment = {},
): Promise<RunningSidecar> {
  const command = [resolve('src/cli/cli.ts'), 'sidecar', ...args]
  const child = spawn(process.execPath, command, { cwd, env: { ...basicEnvironment, ...env } })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stderr.on('data', chunk => (output.stderr += chunk))
  const closed = once(child, 'close').then(([code, signal]) => code ?? signal)
  const line = new Promise<void>(done => {
    child.stdout.on('data', chunk => {
      output.stdout += chunk
      if (output.stdout.includes('\n')) done()
    })
  })
  const end = closed.then(code => Promise.reject(new Error(`it ended (${code}): ${output.stderr}`)))
  await Promise.race([line, end])
  end.catch(() => {})
  return {
    address: output.stdout.trim(),
    pid: child.pid as number,
    stderr: () => output.stderr,
    async end(signal) {
      child.kill(signal)
      return { code: await closed, ...output }
    },
  }
}
