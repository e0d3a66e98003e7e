// Builds tables from measurements. A ratio is taken within a round, in which both sides had the same machine; the tables have
// the median of the rounds.
import type { Measurement, Unit } from './measure.ts'
import { type Load, type RowName, rows } from './rows.ts'
import { type TargetName, targets } from './targets.ts'

/** By row and target, one measurement for each round. */
export type Results = Partial<Record<RowName, Partial<Record<TargetName, Measurement[]>>>>

interface Column {
  heading: string
  cell(own: Measurement[], floor: Measurement[]): string
}

const KIB = 1024

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at % 1)
}

const median = (values: number[]) => quantile(values, 0.5)

function write(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '–'
  const rounded = Number(value.toFixed(digits)) + 0 // without a sign if the rounded value is zero
  return rounded.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** A column of the target's own values. */
const value = (heading: string, unit: Unit, digits: number, scale = 1): Column => ({
  heading,
  cell: own => write(median(own.flatMap(({ values }) => values[unit] ?? [])) / scale, digits),
})

/** A column that compares the target's value with the floor's of the same round: the median, and the quartiles of the rounds. */
const against = (heading: string, unit: Unit, digits: number, set: (own: number, floor: number) => number): Column => ({
  heading,
  cell: (own, floor) => {
    const rounds = own.map(({ values }, round) =>
      set(values[unit] ?? Number.NaN, floor[round]?.values[unit] ?? Number.NaN),
    )
    const finite = rounds.filter(Number.isFinite)
    const spread =
      finite.length > 2 ? ` (${write(quantile(finite, 0.25), digits)} to ${write(quantile(finite, 0.75), digits)})` : ''
    return write(median(finite), digits) + spread
  },
})

const ratio = (own: number, floor: number) => own / floor

const loadColumns = [
  against('throughput relative to the floor', 'rate', 2, ratio),
  against('CPU relative to the floor', 'cpu', 2, ratio),
  value('requests/s', 'rate', 0),
  value('CPU µs/request', 'cpu', 0),
  value('p50 ms', 'p50', 2),
  value('p99 ms', 'p99', 2),
  value('load, of one core', 'load', 2),
]

const idleColumns = [
  against('above the floor, KiB', 'memory', 1, (own, floor) => (own - floor) / KIB),
  against('relative to the floor', 'memory', 2, ratio),
  value('KiB per connection', 'memory', 1, KIB),
  value('of them in the heap', 'heap', 1, KIB),
]

const line = (cells: string[]) => `| ${cells.join(' | ')} |`

function buildTable(name: RowName, byTarget: Partial<Record<TargetName, Measurement[]>>): string {
  const { title, ...row } = rows[name]
  const floors: Load['targets'] = row.targets
  const columns = 'load' in row ? loadColumns : idleColumns
  const entries = Object.entries(byTarget) as [TargetName, Measurement[]][]
  return [
    line([`**${title}**`, ...columns.map(({ heading }) => heading)]),
    line(['---', ...columns.map(() => '--:')]),
    ...entries.map(([target, own]) =>
      line([targets[target].title, ...columns.map(({ cell }) => cell(own, byTarget[floors[target] ?? target] ?? []))]),
    ),
  ].join('\n')
}

export const buildTables = (results: Results): string =>
  Object.entries(results)
    .map(([name, byTarget]) => buildTable(name as RowName, byTarget))
    .join('\n\n')

/** Every problem with its place; empty after a clean run. */
export const listProblems = (results: Results): string[] =>
  Object.entries(results).flatMap(([row, byTarget]) =>
    Object.entries(byTarget).flatMap(([target, rounds]) =>
      rounds.flatMap(({ problems }, round) =>
        problems.map(problem => `${row}, ${target}, round ${round + 1}: ${problem}`),
      ),
    ),
  )
