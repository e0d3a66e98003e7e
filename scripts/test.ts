// npm test: types, lint, import directions, every test; its last line says truthfully how many checks passed and failed.
// Arguments go to tap, so `npm test -- test/core` runs a part.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'

const record = '.tap/record.tap'
rmSync(record, { force: true })
mkdirSync('.tap', { recursive: true })

const checks = run('npm', ['run', '--silent', 'check'])
const tests = run('tap', ['--reporter=terse', `--output-file=${record}`, ...process.argv.slice(2)])
const { passed, failed } = count(readFileSync(record, 'utf8'))

// A crash, a timeout or a failed check is one failure that no test point tells of.
const untold = [checks !== 0, tests !== 0 && failed === 0, passed + failed === 0].filter(Boolean).length
console.log(`${passed} passed, ${failed + untold} failed`)
process.exitCode = failed + untold > 0 ? 1 : 0

function run(command: string, args: readonly string[]): number | null {
  return spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' }).status
}

/** Counts the assertions of a TAP 14 record: the test points that do not close a subtest. */
function count(tap: string): { passed: number; failed: number } {
  const counts = { passed: 0, failed: 0 }
  const open: number[] = [] // indentation of the parents whose closing test point is still to come
  for (const line of tap.split('\n')) {
    const subtest = /^( *)# Subtest/.exec(line)
    if (subtest) open.push((subtest[1] as string).length)
    const point = /^( *)(not )?ok\b/.exec(line)
    if (!point) continue
    const indent = (point[1] as string).length
    if (open.at(-1) === indent) open.pop()
    else counts[point[2] ? 'failed' : 'passed']++
  }
  return counts
}
