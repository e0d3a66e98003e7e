// The bench: the cost of tlsbound relative to the floor and to peers, as ratios within one run. Servers alternate, A B C A B
// C …, one at a time; tables are written to stdout and to bench/results, progress to stderr.
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { type Measurement, measure } from './measure.ts'
import { type Options, readOptions, usage } from './options.ts'
import { makePki } from './pki.ts'
import { buildTables, listProblems, type Results } from './report.ts'
import { rows } from './rows.ts'
import { soak } from './soak.ts'
import { targets } from './targets.ts'

const say = (line: string) => process.stderr.write(`${line}\n`)

function describe({ values, problems }: Measurement): string {
  const numbers = Object.entries(values).map(([unit, value]) => `${unit} ${value.toFixed(2)}`)
  return [...numbers, ...problems.map(problem => `PROBLEM: ${problem}`)].join(', ')
}

async function measureAll(options: Options): Promise<Results> {
  const results: Results = {}
  const pki = makePki()
  for (const name of options.only) {
    const row = rows[name]
    const able = options.targets.filter(target => !row.readsWhoami || targets[target].whoami !== 'none')
    const byTarget: Results[typeof name] = Object.fromEntries(able.map(target => [target, []]))
    results[name] = byTarget
    for (let round = 1; round <= options.rounds; round++) {
      for (const target of able) {
        const measurement = await measure(targets[target], row, options, pki)
        byTarget[target]?.push(measurement)
        say(`${name}, round ${round} of ${options.rounds}, ${target}: ${describe(measurement)}`)
      }
    }
  }
  return results
}

function write(options: Options, results: Results, problems: string[]): void {
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
    buildTables(results),
    ...(problems.length > 0 ? ['**Not clean:**', problems.map(problem => `- ${problem}`).join('\n')] : []),
  ].join('\n\n')

  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL('latest.md', folder), `${report}\n`)
  writeFileSync(new URL('latest.json', folder), `${JSON.stringify({ ...about, problems, results }, null, 2)}\n`)
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
  const results = await measureAll(options)
  const problems = listProblems(results)
  write(options, results, problems)
  if (problems.length > 0) process.exitCode = 1
}
