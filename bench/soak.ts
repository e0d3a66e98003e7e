// The soak: some minutes at about half of this machine's capacity, then a check of memory, open files and responses. Needs
// Linux for /proc.
import { setTimeout as pause } from 'node:timers/promises'
import { startChild } from './child.ts'
import type { LoadQuestions } from './load.ts'
import { makePki } from './pki.ts'
import { judge, type Sample, tellSample, tellSoak } from './soak-report.ts'
import type { TargetQuestions } from './targets/target.ts'
import { targets } from './targets.ts'

/** Lanes of each kind; the pause in each makes about half a load of them. */
const lanes = { get: 8, token: 2, connect: 2 } as const
/** Seconds. */
const [warmUp, between] = [10, 5]

/** Soaks for some minutes. `say` receives each sample. Returns the problems as sentences; empty if there are none. */
export async function soak(
  minutes: number,
  say: (line: string) => void,
): Promise<{ report: string; problems: string[] }> {
  const pki = makePki()
  const server = startChild<TargetQuestions>(targets.tlsbound.file)
  const loads = Object.keys(lanes).map(() => startChild<LoadQuestions>(new URL('load.ts', import.meta.url)))
  try {
    const port = await server.ask('start', pki)
    const kinds = Object.entries(lanes) as [keyof typeof lanes, number][]
    for (const [at, [kind, connections]] of kinds.entries()) {
      await loads[at]?.ask('aim', { aim: { port, token: true, plain: false }, pki })
      await loads[at]?.ask('prepare', { kind, connections })
    }
    const seconds = minutes * 60
    const running = Promise.all(
      loads.map(load => load.ask('run', { seconds: warmUp + seconds, rest: 1 }, warmUp + seconds + 60)),
    )
    const samples: Sample[] = []
    const begun = performance.now()
    await pause(warmUp * 1000)
    while (performance.now() - begun < (warmUp + seconds) * 1000) {
      await server.ask('collectGarbage', null) // so that only live memory is measured
      const { memory, heap, files, cpu } = await server.ask('usage', null)
      samples.push({ minute: (performance.now() - begun) / 60_000, memory, heap, files, cpu })
      say(tellSample(samples.at(-1) as Sample))
      await pause(between * 1000)
    }
    const counts = await running
    return { report: tellSoak(samples, counts), problems: judge(samples, counts) }
  } finally {
    await Promise.all([...loads, server].map(child => child.stop()))
  }
}
