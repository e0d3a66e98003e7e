// One measurement: one row against one new server, with the load in a separate process.
import { type Child, type Questions, startChild } from './child.ts'
import type { LoadQuestions } from './load.ts'
import type { Options } from './options.ts'
import type { Pki } from './pki.ts'
import type { Idle, Load } from './rows.ts'
import type { TargetQuestions } from './targets/target.ts'
import type { Target } from './targets.ts'

/**
 * Requests per second; microseconds of server CPU per request; milliseconds; the share of one core that the load used (near
 * 1, the load was measured and not the server); bytes per connection.
 */
export type Unit = 'rate' | 'cpu' | 'p50' | 'p99' | 'load' | 'memory'

export interface Measurement {
  values: Partial<Record<Unit, number>>
  /** Empty when the measurement was clean. */
  problems: string[]
}

type Ask<Q extends Questions> = Child<Q>['ask']

const SERVER_WARM_UP = 200 // connections before the measurement of memory, for what a server allocates once

async function measureLoad(
  row: Load,
  { seconds, connections }: Options,
  server: Ask<TargetQuestions>,
  load: Ask<LoadQuestions>,
): Promise<Measurement> {
  await load('prepare', { kind: row.load, connections })
  const warmUp = await load('run', { seconds: seconds / 3 }, seconds + 40)
  const before = await server('usage', null)
  const counts = await load('run', { seconds }, seconds + 40)
  const after = await server('usage', null)
  const unexpected = [warmUp, counts].flatMap(({ statuses }) =>
    Object.keys(statuses).filter(status => status !== '200'),
  )
  return {
    values: {
      rate: counts.requests / counts.seconds,
      cpu: (after.cpu - before.cpu) / counts.requests,
      p50: counts.p50,
      p99: counts.p99,
      load: counts.cpu / counts.seconds,
    },
    problems: [
      ...warmUp.problems,
      ...counts.problems,
      ...unexpected.map(status => `unexpected status ${status}`),
      ...(counts.requests === 0 ? ['no response'] : []),
    ],
  }
}

async function measureIdle(
  { used }: Idle,
  { idle: count }: Options,
  server: Ask<TargetQuestions>,
  load: Ask<LoadQuestions>,
): Promise<Measurement> {
  const weigh = async () => {
    await server('collectGarbage', null)
    return (await server('usage', null)).memory
  }
  await load('openIdle', { count: SERVER_WARM_UP, used }, 60)
  await load('closeIdle', undefined)
  const before = await weigh()
  await load('openIdle', { count, used }, 120)
  const after = await weigh()
  const open = await load('countIdle', undefined)
  return {
    values: { memory: (after - before) / count },
    problems: open === count ? [] : [`${count - open} of ${count} idle connections were closed`],
  }
}

/** Never throws: a failure is a problem of this measurement, and the bench continues. */
export async function measure(target: Target, row: Load | Idle, options: Options, pki: Pki): Promise<Measurement> {
  const server = startChild<TargetQuestions>(target.file)
  const load = startChild<LoadQuestions>(new URL('load.ts', import.meta.url))
  try {
    const port = await server.ask('start', pki)
    await load.ask('aim', { aim: { port, needsToken: target.whoami === 'protected' }, pki })
    if ('load' in row) return await measureLoad(row, options, server.ask, load.ask)
    return await measureIdle(row, options, server.ask, load.ask)
  } catch (error) {
    return { values: {}, problems: [error instanceof Error ? error.message : String(error)] }
  } finally {
    await load.stop()
    await server.stop()
  }
}
