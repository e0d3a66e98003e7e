// Keeps docs/compliance.md true: which requirement of which specification is proven by which tests, and which is not.
// `node scripts/compliance.ts` says what differs and exits 1; with --write it mends the page.
import { readFileSync, writeFileSync } from 'node:fs'
import { type Area, areas, asvs, type Requirement } from './requirements/requirements.ts'
import { names, numbersIn, readTests, type Test } from './requirements/tests.ts'

const path = 'docs/compliance.md'
const tests = readTests()
const requirements = [...areas, asvs].flatMap(area => area.requirements)
const proofs = new Map(requirements.map(requirement => [requirement, findProofs(requirement)]))
const [page, found] = [buildPage(), readFileSync(path, 'utf8')]

const problems = findStrangers()
if (process.argv.includes('--write')) writeFileSync(path, page)
else if (page !== found) problems.push(`${path} differs; node scripts/compliance.ts --write mends it`, ...compare())
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0

function findProofs({ number, provenBy = [] }: Requirement): readonly Test[] {
  return tests.filter(({ text }) => [number, ...provenBy].some(mark => names(text, mark)))
}

/** Numbers that tests name and no table has. */
function findStrangers(): string[] {
  const known = new Set(requirements.map(({ number }) => number))
  return tests.flatMap(({ file, text }) =>
    numbersIn(text)
      .filter(number => !known.has(number))
      .map(number => `test/${file} names ${number}, which scripts/requirements/ does not have`),
  )
}

/** The first lines that the page has too many, and those that it lacks. */
function compare(): string[] {
  const [here, there] = [found.split('\n'), page.split('\n')]
  const needless = here.filter(line => !there.includes(line)).map(line => `- ${line}`)
  const lacking = there.filter(line => !here.includes(line)).map(line => `+ ${line}`)
  return [...needless.slice(0, 10), ...lacking.slice(0, 10)]
}

function buildPage(): string {
  const all = areas.flatMap(area => area.requirements)
  const [proven, unproven] = [all.filter(isProven), all.filter(requirement => !isProven(requirement))]
  const limited = proven.filter(({ limit }) => limit !== undefined)
  const refused = proven.filter(requirement => proofs.get(requirement)?.some(({ refuses }) => refuses))
  const count = new Set(proven.flatMap(requirement => proofs.get(requirement) ?? [])).size
  return `# Compliance

Which requirement of which specification is proven by which test. \`node scripts/compliance.ts --write\` writes this page from
the tables beside [scripts/requirements/requirements.ts](../scripts/requirements/requirements.ts) and from the tests: a test stands here when its title
or its text names the number of the requirement. The sentences are ours and short; the specifications are what counts.

Of ${all.length} requirements ${proven.length} have tests, ${count} different ones.

✗ marks a test that expects a refusal: an error status, a reason, an exception. As a rule such a test holds what is accepted
beside it. The mark is found by the words of the test, so one without it may refuse something too. ${refused.length} requirements have
such a test.

## Without a test: ${unproven.length}

${listLimits(unproven)}
## With tests, but not met, not in full, or not applicable: ${limited.length}

${listLimits(limited)}${areas.map(buildArea).join('')}${buildArea(asvs)}`
}

function isProven(requirement: Requirement): boolean {
  return proofs.get(requirement)?.length !== 0
}

function listLimits(listed: readonly Requirement[]): string {
  const rows = listed.map(({ number, source, limit: [kind, because] = ['no test', 'None was written yet.'] }) => {
    return `| [${number}](#${number.toLowerCase()}) | ${source} | ${kind} | ${because} |\n`
  })
  return `| | specification | | why |\n|---|---|---|---|\n${rows.join('')}`
}

function buildArea(area: Area): string {
  const about = area.about === undefined ? '' : `\n${area.about}\n`
  return `\n## ${area.title}\n${about}${area.requirements.map(buildRequirement).join('')}`
}

function buildRequirement(requirement: Requirement): string {
  const { number, level, source, says, limit } = requirement
  const rows = (proofs.get(requirement) ?? []).map(({ file, title, refuses }) => {
    const name = file.replace(/(\.test)?\.ts$/, '')
    return `- [${name}](../test/${file}): ${title.replaceAll(/[<*]/g, '\\$&')}${refuses ? ' ✗' : ''}\n`
  })
  const departure = limit === undefined ? '' : `\n\n*${limit[0]}*: ${limit[1]}`
  return `\n### ${number}\n\n${level}, ${source}. ${says}${departure}\n${rows.length > 0 ? `\n${rows.join('')}` : ''}`
}
