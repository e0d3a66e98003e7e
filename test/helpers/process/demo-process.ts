// The demo server as a process in an empty folder, as `npm start` runs it, on a free port.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { findFreePort } from '../../../src/testing/free-port.ts'

export interface Demo {
  readonly folder: string
  readonly port: number
  /** Its stderr so far. */
  errors(): string
}

/** Starts the demo, waits until it listens, and ends it with the test. */
export async function startDemo(t: Test, env: Readonly<Record<string, string>> = {}): Promise<Demo> {
  const folder = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  const port = await findFreePort()
  const child = spawn(process.execPath, [resolve('src/cli/cli.ts'), 'serve'], {
    cwd: folder,
    env: { ...process.env, TLSBOUND_PORT: String(port), TLSBOUND_OPS_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>(resolveEnd => child.once('exit', () => resolveEnd()))
  t.teardown(async () => {
    child.kill()
    await ended
    rmSync(folder, { recursive: true })
  })
  let errors = ''
  await new Promise<void>((listening, failed) => {
    child.stderr.on('data', chunk => {
      errors += chunk
      if (/listening for/.test(errors) && /certificate_mismatch\n.*\n\n/.test(errors)) listening()
    })
    child.once('exit', () => failed(new Error(`the demo did not start: ${errors}`)))
  })
  return { folder, port, errors: () => errors }
}
