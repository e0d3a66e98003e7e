// npm test: types, lint, import directions, every test; its last line says truthfully how many checks passed and failed.
// Arguments go to tap, so `npm test -- test/core` runs a part.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'

const record = '.tap/record.tap'
const folders = '.tap/fixtures' // of the tests
rmSync(record, { force: true })
mkdirSync('.tap', { recursive: true })

const checks = run('npm', ['run', '--silent', 'check'])
const tests = run('tap', ['--reporter=terse', `--output-file=${record}`, ...process.argv.slice(2)])
rmSync(folders, { recursive: true, force: true })
const { passed, failures } = read(readFileSync(record, 'utf8'))

// A crash, a timeout or a failed check is one failure that no test point tells of.
if (tests !== 0 && failures.length === 0) failures.push(`tap ended with ${tests}, though no check failed`)
if (checks !== 0) failures.push('npm run check')
if (passed + failures.length === 0) failures.push('no test ran')

// Once more at the end, where the reader of a long output looks first; on lines of their own, since tap shows the cursor
// again without one.
console.log()
for (const failure of failures) console.log(`not ok: ${failure}`)
console.log(`${passed} passed, ${failures.length} failed`)
process.exitCode = failures.length > 0 ? 1 : 0

function run(command: string, args: readonly string[]): number | null {
  return spawnSync(command, args, { stdio: 'inherit', shell: process.platform === 'win32' }).status
}

/**
 * Reads the assertions of a TAP 14 record: how many passed, and each that failed, as the names of its tests from the
 * file down and what it says of itself. The test points that close a subtest are no assertions.
 */
function read(tap: string): { passed: number; failures: string[] } {
  let passed = 0
  const failures: string[] = []
  const open: { indent: number; name: string }[] = [] // the subtests whose closing test point is still to come
  let details: number | undefined // the indentation of the details of the failure read last
  for (const line of tap.split('\n')) {
    const [, space = '', subtest, not, point] = /^( *)(?:# Subtest: (.*)|(not )?ok\b(.*))?/.exec(line) ?? []
    const indent = space.length
    if (details !== undefined && indent >= details && point === undefined) {
      failures.push(`${failures.pop()}\n${line}`)
      if (line.trim() === '...') details = undefined
    } else if (subtest !== undefined) open.push({ indent, name: subtest })
    else if (point !== undefined) {
      details = undefined
      if (open.at(-1)?.indent === indent) open.pop()
      else if (not === undefined) passed++
      else {
        failures.push([...open.map(({ name }) => name), point.replace(/^[ \d-]+/, '')].join(' > '))
        details = indent + 2
      }
    }
  }
  return { passed, failures }
}
