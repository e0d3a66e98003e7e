// docs/reference/compliance.md: the requirements of each specification, with the tests that prove them and the limits.
import { type Area, areas, asvs, type Requirement } from '../requirements/requirements.ts'
import { names, numbersIn, readTests, type Test } from '../requirements/tests.ts'
import { type Files, generatedFrom, table } from './generator.ts'

const tests = readTests()
const requirements = [...areas, asvs].flatMap(area => area.requirements)
const proofs = new Map(requirements.map(requirement => [requirement, findProofs(requirement)]))

/** Throws if a test names a number that is in no table. */
export function generate(): Files {
  const strangers = findStrangers()
  if (strangers.length > 0) throw new Error(strangers.join('\n'))
  return { 'docs/reference/compliance.md': buildPage() }
}

function findProofs({ number, provenBy = [] }: Requirement): readonly Test[] {
  return tests.filter(({ text }) => [number, ...provenBy].some(mark => names(text, mark)))
}

/** Numbers in tests that are in no table. */
function findStrangers(): string[] {
  const known = new Set(requirements.map(({ number }) => number))
  return tests.flatMap(({ file, text }) =>
    numbersIn(text)
      .filter(number => !known.has(number))
      .map(number => `test/${file} names ${number}, which is not in scripts/requirements/`),
  )
}

function buildPage(): string {
  const all = areas.flatMap(area => area.requirements)
  const [proven, unproven] = [all.filter(isProven), all.filter(requirement => !isProven(requirement))]
  const limited = proven.filter(({ limit }) => limit !== undefined)
  const refused = proven.filter(requirement => proofs.get(requirement)?.some(({ refuses }) => refuses))
  const count = new Set(proven.flatMap(requirement => proofs.get(requirement) ?? [])).size
  return `# Compliance

${generatedFrom('scripts/requirements and the tests', 'compliance')}
This page lists the requirements of the specifications that tlsbound follows, and the tests that prove each.

A test is listed if its title or its text names the number of the requirement. The sentences are short summaries; the
specifications are authoritative. Of ${all.length} requirements ${proven.length} have tests, ${count} different ones.

✗ marks a test that expects a refusal: an error status, a reason, an exception. Such a test usually also shows what is accepted.
The mark is derived from the words of the test, so a test without it may also expect a refusal. ${refused.length} requirements have
a test with the mark.

## Without a test: ${unproven.length}

${listLimits(unproven)}
## With tests, but not met, not in full, or not applicable: ${limited.length}

${listLimits(limited)}${areas.map(buildArea).join('')}${buildArea(asvs)}`
}

function isProven(requirement: Requirement): boolean {
  return proofs.get(requirement)?.length !== 0
}

function listLimits(listed: readonly Requirement[]): string {
  const rows = listed.map(({ number, source, limit: [kind, because] = ['no test', 'No test yet.'] }) => [
    `[${number}](#${number.toLowerCase()})`,
    source,
    kind,
    because,
  ])
  return table(['requirement', 'specification', 'state', 'reason'], rows)
}

function buildArea(area: Area): string {
  const about = area.about === undefined ? '' : `\n${area.about}\n`
  return `\n## ${area.title}\n${about}${area.requirements.map(buildRequirement).join('')}`
}

function buildRequirement(requirement: Requirement): string {
  const { number, level, source, says, limit } = requirement
  const rows = (proofs.get(requirement) ?? []).map(({ file, title, refuses }) => {
    const name = file.replace(/^..\/src\/|(\.test)?\.ts$/g, '')
    return `- [${name}](../../test/${file}): ${title.replaceAll(/[<*]/g, '\\$&')}${refuses ? ' ✗' : ''}\n`
  })
  const departure = limit === undefined ? '' : `\n\n*${limit[0]}*: ${limit[1]}`
  return `\n### ${number}\n\n${level}, ${source}. ${says}${departure}\n${rows.length > 0 ? `\n${rows.join('')}` : ''}`
}
