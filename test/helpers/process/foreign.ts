// Runs programs of Debian packages.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Runs a program of a Debian package to its end, and returns its output. */
export async function runForeign(debian: string, program: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, [...args], { timeout: 60_000 })
    return stdout + stderr
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw isMissing ? new Error(`this test needs ${program}: install the Debian package ${debian}`, { cause }) : cause
  }
}
