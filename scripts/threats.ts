// Keeps docs/reference/threats.md true: each code of a test is defined, and each definition has a test.
// `node scripts/threats.ts` says what differs and exits 1; with --write it writes the page.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { threatGroups } from './threats/threats.ts'

const path = 'docs/reference/threats.md'

/** What a code looks like: a rule, or two letters and two digits. Numbers of requirements (N-…) are in compliance.md. */
const code = /(?<![\w%-])(?:I[1-8]|(?:CB|TS|PK|JW|CL|OA|HT|LK|DS|RE|CF)\d\d)(?!\w)/g

const introduction = `# Threats

The codes in the titles of tests: what an attacker, a fault or a bad input does, what must happen, and the tests that prove
it. \`node scripts/threats.ts --write\` generates this page. Requirements of specifications (N-01 …) are in
[compliance](compliance.md).
`

if (import.meta.main) {
  const { page, problems } = buildThreats()
  if (process.argv.includes('--write')) writeFileSync(path, page)
  else if (page !== readFileSync(path, 'utf8'))
    problems.push(`${path} differs; node scripts/threats.ts --write writes it`)
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length > 0 ? 1 : 0
}

/** Builds the page, and lists the codes that are not defined, and the definitions that no test names. */
export function buildThreats(): { page: string; problems: string[] } {
  const files = new Map<string, Set<string>>()
  const tests = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  for (const file of tests.filter(file => !file.startsWith('helpers/')))
    for (const [name] of readFileSync(`test/${file}`, 'utf8').matchAll(code))
      files.set(name, (files.get(name) ?? new Set()).add(file))
  const defined = new Set(threatGroups.flatMap(({ threats }) => Object.keys(threats)))
  const problems = [
    ...[...files.keys()].filter(name => !defined.has(name)).map(name => `${name} is in a test, and not defined`),
    ...[...defined].filter(name => !files.has(name)).map(name => `${name} is defined, and no test names it`),
  ]
  const groups = threatGroups.map(({ title, threats }) => {
    const rows = Object.entries(threats).map(([name, [action, outcome]]) => {
      const tests = [...(files.get(name) ?? [])].sort().map(linkTo).join(', ')
      return `| ${name} | ${action} | ${outcome} | ${tests} |`
    })
    return [`## ${title}`, '', '| code | what is done | what must happen | tests |', '|---|---|---|---|', ...rows].join(
      '\n',
    )
  })
  return { page: `${introduction}\n${groups.join('\n\n')}\n`, problems }
}

function linkTo(file: string): string {
  return `[${file.replace(/^attack\//, '').replace(/(?:\.test)?\.ts$/, '')}](../../test/${file})`
}
