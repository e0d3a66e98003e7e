// The report of a soak: memory and open files over time, and the responses.
import type { Counts } from './load/tally.ts'

export interface Sample {
  /** Since the load began. */
  readonly minute: number
  /** Bytes resident. */
  readonly memory: number
  /** Bytes of JavaScript's heap in use after a collection. */
  readonly heap: number
  readonly files: number
  /** Microseconds of CPU time since the server began. */
  readonly cpu: number
}

const MIB = 1_048_576

/** Such as "minute 0.2: 150.1 MiB, heap 24.6 MiB, 37 files". */
export function tellSample({ minute, memory, heap, files }: Sample): string {
  return `minute ${minute.toFixed(1)}: ${mib(memory)} MiB, heap ${mib(heap)} MiB, ${files} files`
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

/** Bytes per minute, by least squares. */
export function slopeOf(samples: readonly Sample[], which: 'memory' | 'heap'): number {
  const mean = (read: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + read(sample), 0) / samples.length
  const [minute, memory] = [mean(sample => sample.minute), mean(sample => sample[which])]
  const both = mean(sample => (sample.minute - minute) * (sample[which] - memory))
  return both / mean(sample => (sample.minute - minute) ** 2)
}

/**
 * Returns the problems: responses other than 200, and loads that ended early. The reader judges the memory, by the length of
 * the soak.
 */
export function judge(samples: readonly Sample[], counts: readonly Counts[]): string[] {
  const wrong = counts.flatMap(({ statuses, problems }) => [
    ...Object.entries(statuses).flatMap(([status, count]) =>
      status === '200' ? [] : [`status ${status}, ${count} times`],
    ),
    ...problems,
  ])
  return samples.length < 2 ? [...wrong, 'too short for a slope'] : wrong
}

/** Returns the figures as lines. */
export function tellSoak(samples: readonly Sample[], counts: readonly Counts[]): string {
  const [first, last] = [samples[0], samples.at(-1)] as [Sample, Sample]
  const requests = counts.reduce((sum, count) => sum + count.requests, 0)
  const seconds = counts[0]?.seconds ?? 0
  const cpu = (last.cpu - first.cpu) / ((last.minute - first.minute) * 60e6)
  return [
    `${requests} answers in ${seconds.toFixed(0)} s, p99 ${counts.map(({ p99 }) => p99.toFixed(0)).join(', ')} ms for GET, tokens, new connections; the server used ${cpu.toFixed(2)} of one core`,
    ...(['memory', 'heap'] as const).map(
      which =>
        `${which} ${mib(first[which])} to ${mib(last[which])} MiB, slope ${mib(slopeOf(samples, which) * 10)} MiB in ten minutes`,
    ),
    `files ${first.files} to ${last.files}`,
  ].join('\n')
}
