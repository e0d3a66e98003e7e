// The options of the bench: name, default, bounds, meaning. Everything that loops or waits is bounded here.
import { parseArgs } from 'node:util'
import { grownRows, type RowName, rows } from './rows.ts'
import { type TargetName, targets } from './targets.ts'

export interface Options {
  rounds: number
  seconds: number
  connections: number
  idle: number
  only: RowName[]
  /** Those that each row compares, or some of them. */
  targets: TargetName[]
  /** Whether the load never sleeps. */
  awake: boolean
  /** Whether to profile the servers, instead of comparing them. */
  profile: boolean
  /** Minutes; 0: measure instead. */
  soak: number
}

const NUMBERS = {
  rounds: { default: 5, from: 1, to: 100, meaning: 'how often everything is measured' },
  seconds: { default: 3, from: 0.1, to: 60, meaning: 'length of one measurement, after a third of it as warm-up' },
  connections: { default: 16, from: 1, to: 256, meaning: 'connections of the load' },
  idle: { default: 1000, from: 10, to: 5000, meaning: 'idle connections, to measure their memory' },
  soak: {
    default: 0,
    from: 0,
    to: 240,
    meaning: 'minutes at half load instead, to check that memory and files stay constant',
  },
}

const rowNames = Object.keys(rows) as RowName[]
const usualRows = rowNames.filter(name => !grownRows.includes(name))
const targetNames = Object.keys(targets) as TargetName[]

const describe = (option: string, meaning: string) => `  ${option.padEnd(20)}${meaning}`

export const usage = [
  'npm run bench -- [options]',
  ...Object.entries(NUMBERS).map(([name, { default: value, from, to, meaning }]) =>
    describe(`--${name} N`, `${meaning} (${value}; ${from} to ${to})`),
  ),
  describe('--only ROWS', `some of ${rowNames}`),
  describe(
    '--grown',
    `the same as --only ${grownRows}, which are not measured otherwise; their state takes minutes to make`,
  ),
  describe('--targets TARGETS', `some of ${targetNames}; what they are compared with is always among them`),
  describe('--awake', 'the load never sleeps, so that waking it costs the server nothing; it needs a core of its own'),
  describe('--profile ROW', 'writes a .cpuprofile of each target, and prints the functions that used most time'),
].join('\n')

function readNumber(name: keyof typeof NUMBERS, text: string | undefined): number {
  const { default: value, from, to } = NUMBERS[name]
  const number = text === undefined ? value : Number(text)
  if (!(number >= from && number <= to)) throw new TypeError(`--${name} must be a number from ${from} to ${to}`)
  return name === 'seconds' || name === 'soak' ? number : Math.floor(number)
}

function readNames<Name extends string>(option: string, text: string | undefined, known: Name[]): Name[] {
  const names = text?.split(',') ?? known
  const stranger = names.find(name => !known.includes(name as Name))
  if (stranger !== undefined) throw new TypeError(`--${option}: expected ${known}, not '${stranger}'`)
  return known.filter(name => names.includes(name))
}

/** @throws TypeError with a message for the user. */
export function readOptions(args: string[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args,
    options: {
      rounds: text,
      seconds: text,
      connections: text,
      idle: text,
      soak: text,
      only: text,
      targets: text,
      profile: text,
      awake: { type: 'boolean' },
      grown: { type: 'boolean' },
    },
  })
  return {
    rounds: readNumber('rounds', values.rounds),
    seconds: readNumber('seconds', values.seconds),
    connections: readNumber('connections', values.connections),
    idle: readNumber('idle', values.idle),
    soak: readNumber('soak', values.soak),
    only: readNames('only', values.profile ?? values.only ?? String(values.grown ? grownRows : usualRows), rowNames),
    targets: readNames('targets', values.targets, targetNames),
    awake: values.awake ?? false,
    profile: values.profile !== undefined,
  }
}
