// Keeps README.md true: the demo's transcript, the tables of settings and reasons are what the code says.
// `node scripts/readme.ts` names what differs and exits 1; with --write it mends the page.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { reasons } from '../src/core/errors.ts'
import { settingsTable } from '../src/settings/settings.ts'

const page = readFileSync('README.md', 'utf8')
const parts = [
  { name: 'the transcript of npm run demo', pattern: /(?<=\$ npm run demo\n)[^`]*(?=```)/, build: runDemo },
  { name: 'the table of settings', pattern: tableAfter('| name | default | meaning |'), build: listSettings },
  { name: 'the table of reasons', pattern: tableAfter('| reason | error | status | what to do |'), build: listReasons },
]

let mended = page
const wrong = parts.filter(({ name, pattern, build }) => {
  const found = pattern.exec(page)
  if (found === null) throw new Error(`README.md lacks ${name}`)
  const wanted = build(found[0])
  mended = mended.replace(pattern, () => wanted)
  return found[0] !== wanted
})
if (process.argv.includes('--write')) writeFileSync('README.md', mended)
else for (const { name } of wrong) console.error(`README.md: ${name} is not what the code says`)
process.exitCode = wrong.length > 0 && mended !== readFileSync('README.md', 'utf8') ? 1 : 0

function tableAfter(header: string): RegExp {
  return new RegExp(`(?<=${header.replaceAll('|', '\\|')}\\n\\|[-|]+\\|\\n)(?:\\|.*\\n)*`)
}

function runDemo(): string {
  const { stdout, status } = spawnSync('npm', ['run', '--silent', 'demo'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the demo ended with ${status}:\n${stdout}`)
  return stdout
}

function listSettings(): string {
  return Object.values(settingsTable)
    .map(({ name, shown, meaning }) => `| \`${name}\` | ${shown} | ${meaning} |\n`)
    .join('')
}

/** Codes and statuses are the page's own, held against real answers by test/server/malformed-requests.test.ts. */
function listReasons(table: string): string {
  const rows = new Map(table.split('\n').map(row => [/`(\w+)`/.exec(row)?.[1], row.split('|')]))
  return Object.entries(reasons)
    .map(([reason, sentence]) => {
      const [, , code = ' ? ', status = ' ? '] = rows.get(reason) ?? []
      return `| \`${reason}\` |${code}|${status}| ${sentence} |\n`
    })
    .join('')
}
