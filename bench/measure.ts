// One measurement: one row against one new server, with the load in a separate process.
import type { Profiler } from 'node:inspector/promises'
import { type Child, type Questions, startChild } from './child.ts'
import type { Kind } from './load/lanes.ts'
import type { LoadQuestions } from './load.ts'
import type { Options } from './options.ts'
import type { Pki } from './pki.ts'
import type { ProfileQuestions } from './profiler.ts'
import type { Idle, Load } from './rows.ts'
import type { TargetQuestions } from './targets/target.ts'
import type { Target } from './targets.ts'

/**
 * Requests per second; microseconds of CPU per request, of the server or of the client that is measured; milliseconds; the share of one core that the load used; resident
 * bytes, and bytes of JavaScript's heap, per connection.
 */
export type Unit = 'rate' | 'cpu' | 'p50' | 'p99' | 'load' | 'memory' | 'heap'

export interface Measurement {
  values: Partial<Record<Unit, number>>
  /** Empty when the measurement was clean. */
  problems: string[]
  profile?: Profiler.Profile
}

type Ask<Q extends Questions> = Child<Q>['ask']

/** The share of one core beyond which the load was measured, and not the server. */
const busyLoad = 0.9

/** Seconds of load before a measurement, at least: V8 optimizes for longer than the shortest measurement lasts. */
const leastWarmUp = 2

const SERVER_WARM_UP = 200 // connections before the measurement of memory, for what a server allocates once

async function measureLoad(
  { kind, measuresLoad }: { kind: Kind; measuresLoad: boolean },
  { seconds, connections, awake, profile }: Options,
  server: Ask<TargetQuestions>,
  load: Ask<LoadQuestions>,
): Promise<Measurement> {
  await load('prepare', { kind, connections })
  const warmUp = await load('run', { seconds: Math.max(seconds / 3, leastWarmUp), awake }, seconds + 40)
  const profiled: Ask<ProfileQuestions> = measuresLoad ? load : server
  if (profile) await profiled('startProfile', null)
  const before = await server('usage', null)
  const counts = await load('run', { seconds, awake }, seconds + 40)
  const after = await server('usage', null)
  const share = counts.cpu / counts.seconds
  const unexpected = [warmUp, counts].flatMap(({ statuses }) =>
    Object.keys(statuses).filter(status => status !== '200'),
  )
  return {
    values: {
      rate: counts.requests / counts.seconds,
      cpu: (measuresLoad ? counts.cpu * 1e6 : after.cpu - before.cpu) / counts.requests,
      p50: counts.p50,
      p99: counts.p99,
      load: share,
    },
    problems: [
      ...warmUp.problems,
      ...counts.problems,
      ...unexpected.map(status => `unexpected status ${status}`),
      ...(counts.requests === 0 ? ['no response'] : []),
      ...(share > busyLoad && !awake && !measuresLoad
        ? [`the load used ${share.toFixed(2)} of a core, and may limit the result`]
        : []),
    ],
    ...(profile && { profile: await profiled('stopProfile', null) }),
  }
}

async function measureIdle(
  { first }: Idle,
  { idle: count }: Options,
  server: Ask<TargetQuestions>,
  load: Ask<LoadQuestions>,
): Promise<Measurement> {
  const weigh = async () => {
    await server('collectGarbage', null)
    const { memory, heap } = await server('usage', null)
    return { memory, heap }
  }
  await load('openIdle', { count: SERVER_WARM_UP, first }, 60)
  await load('closeIdle', undefined)
  const before = await weigh()
  await load('openIdle', { count, first }, 120)
  const after = await weigh()
  const open = await load('countIdle', undefined)
  return {
    values: { memory: (after.memory - before.memory) / count, heap: (after.heap - before.heap) / count },
    problems: open === count ? [] : [`${count - open} of ${count} idle connections were closed`],
  }
}

/** Never throws: a failure is a problem of this measurement, and the bench continues. */
export async function measure(target: Target, row: Load | Idle, options: Options, pki: Pki): Promise<Measurement> {
  const server = startChild<TargetQuestions>(target.file, target.args)
  const load = startChild<LoadQuestions>(new URL('load.ts', import.meta.url))
  try {
    const port = await server.ask('start', pki, 1800) // a grown state takes minutes to make
    await load.ask('aim', { aim: { port, token: target.token, plain: target.plain === true }, pki })
    if ('load' in row) {
      const what = { kind: target.load ?? row.load, measuresLoad: target.measuresLoad === true }
      return await measureLoad(what, options, server.ask, load.ask)
    }
    return await measureIdle(row, options, server.ask, load.ask)
  } catch (error) {
    return { values: {}, problems: [error instanceof Error ? error.message : String(error)] }
  } finally {
    await load.stop()
    await server.stop()
  }
}
