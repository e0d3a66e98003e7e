// The bench: the cost of tlsbound relative to a floor and to peers, as ratios within one run. Servers alternate, A B C A B
// C …, one at a time; tables are written to stdout and to bench/results, progress to stderr.
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Profiler } from 'node:inspector/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type Measurement, measure } from './measure.ts'
import { type Options, readOptions, usage } from './options.ts'
import { makePki } from './pki.ts'
import { describeProfile } from './profile.ts'
import { buildTables, listProblems, type Results } from './report.ts'
import { type Load, rows } from './rows.ts'
import { soak } from './soak.ts'
import { type TargetName, targets } from './targets.ts'

const results = new URL('results/', import.meta.url)

const say = (line: string) => process.stderr.write(`${line}\n`)

function describe({ values, problems }: Measurement): string {
  const numbers = Object.entries(values).map(([unit, value]) => `${unit} ${value.toFixed(2)}`)
  return [...numbers, ...problems.map(problem => `PROBLEM: ${problem}`)].join(', ')
}

/** Returns the targets of a row that the options ask for, and those that they are compared with. */
function chooseTargets(compared: Load['targets'], options: Options): TargetName[] {
  const all = Object.entries(compared) as [TargetName, TargetName][]
  const chosen = all.filter(([target]) => options.targets.includes(target))
  const needed = new Set<TargetName>(options.profile ? chosen.map(([target]) => target) : chosen.flat())
  return all.map(([target]) => target).filter(target => needed.has(target))
}

function writeProfile(name: string, profile: Profiler.Profile): void {
  const file = new URL(`${name}.cpuprofile`, results)
  mkdirSync(results, { recursive: true })
  writeFileSync(file, JSON.stringify(profile))
  console.log(`${name}: ${fileURLToPath(file)}\n${describeProfile(profile)}\n`)
}

async function measureAll(options: Options): Promise<Results> {
  const measured: Results = {}
  const pki = makePki()
  for (const name of options.only) {
    const row = rows[name]
    const compared = chooseTargets(row.targets, options)
    const byTarget: Results[typeof name] = Object.fromEntries(compared.map(target => [target, []]))
    measured[name] = byTarget
    for (let round = 1; round <= options.rounds; round++) {
      for (const target of compared) {
        const measurement = await measure(targets[target], row, options, pki)
        byTarget[target]?.push(measurement)
        if (measurement.profile !== undefined) writeProfile(`${name}-${target}`, measurement.profile)
        say(`${name}, round ${round} of ${options.rounds}, ${target}: ${describe(measurement)}`)
      }
    }
  }
  return measured
}

function write(options: Options, measured: Results, problems: string[]): void {
  const about = {
    date: new Date().toISOString(),
    node: process.version,
    openssl: process.versions.openssl,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    options,
  }
  const { rounds, seconds, connections, idle } = options
  const report = [
    `Node ${about.node}, OpenSSL ${about.openssl}, ${about.cpu}, ${about.date}.`,
    `Medians of ${rounds} rounds of ${seconds} s with ${connections} connections; ${idle} idle connections. Only the ratios mean anything.`,
    buildTables(measured),
    ...(problems.length > 0 ? ['**Not clean:**', problems.map(problem => `- ${problem}`).join('\n')] : []),
  ].join('\n\n')

  mkdirSync(results, { recursive: true })
  writeFileSync(new URL('latest.md', results), `${report}\n`)
  writeFileSync(
    new URL('latest.json', results),
    `${JSON.stringify({ ...about, problems, results: measured }, null, 2)}\n`,
  )
  console.log(report)
}

function readOptionsOrExplain(args: string[]): Options | undefined {
  try {
    return readOptions(args)
  } catch (error) {
    say(`${(error as Error).message}\n\n${usage}`)
    process.exitCode = 1
    return undefined
  }
}

const options = readOptionsOrExplain(process.argv.slice(2))
if (options !== undefined && options.soak > 0) {
  const { report, problems } = await soak(options.soak, say)
  console.log([report, ...problems.map(problem => `NOT CLEAN: ${problem}`)].join('\n'))
  if (problems.length > 0) process.exitCode = 1
} else if (options !== undefined) {
  const measured = await measureAll(options)
  const problems = listProblems(measured)
  if (!options.profile) write(options, measured, problems)
  if (problems.length > 0) process.exitCode = 1
}
