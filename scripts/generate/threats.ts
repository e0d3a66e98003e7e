// docs/reference/threats.md: the codes in the tests, their meaning, and the tests.
import { readFileSync } from 'node:fs'
import { findTestFiles } from '../requirements/tests.ts'
import { threatGroups } from '../requirements/threats.ts'
import { type Files, generatedFrom, table } from './generator.ts'

/** The form of a code: a rule, or two letters and two digits. Numbers of requirements (N-…) are in compliance.md. */
const code = /(?<![\w%-])(?:I[1-8]|[A-Z]{2}\d\d)(?!\w)/g

/** Throws if a code of a test is not defined, or a defined code is in no test. */
export function generate(): Files {
  const files = new Map<string, Set<string>>()
  for (const file of findTestFiles().filter(file => !file.startsWith('helpers/')))
    for (const [name] of readFileSync(`test/${file}`, 'utf8').matchAll(code))
      files.set(name, (files.get(name) ?? new Set()).add(file))
  const defined = new Set(threatGroups.flatMap(({ threats }) => Object.keys(threats)))
  const problems = [
    ...[...files.keys()].filter(name => !defined.has(name)).map(name => `${name} is in a test, but not defined`),
    ...[...defined].filter(name => !files.has(name)).map(name => `${name} is defined, but in no test`),
  ]
  if (problems.length > 0) throw new Error(problems.join('\n'))
  const groups = threatGroups.map(({ title, threats }) => {
    const rows = Object.entries(threats).map(([name, [action, outcome]]) => [
      ...[name, action, outcome],
      [...(files.get(name) ?? [])].sort().map(linkTo).join(', '),
    ])
    return `## ${title}\n\n${table(['code', 'what is done', 'what must happen', 'tests'], rows)}`
  })
  return { 'docs/reference/threats.md': `${introduction}\n${groups.join('\n')}` }
}

function linkTo(file: string): string {
  return `[${file.replace(/^attack\/|^..\/src\//, '').replace(/(?:\.test)?\.ts$/, '')}](../../test/${file})`
}

const introduction = `# Threats

${generatedFrom('scripts/requirements/threats.ts and the tests', 'threats')}
This page defines the codes in the titles of tests: what an attacker, a fault or a bad input does, what must happen, and the
tests that prove it. Requirements of specifications (N-01 …) are in [compliance](compliance.md).
`
