// Runs the demo for what shows its output: README.md and docs/demo.svg.
import { spawnSync } from 'node:child_process'

/** Returns the output of `npm run demo`. @throws Error when the demo fails. */
export function runDemo(): string {
  const { stdout, status } = spawnSync('npm', ['run', '--silent', 'demo'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the demo ended with ${status}:\n${stdout}`)
  return stdout
}
