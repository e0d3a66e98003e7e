// Counts responses and latencies. Latencies are stored in a histogram of fixed size, so that counting has the same cost for
// the first response and for the millionth.
const STEP = 0.01 // milliseconds, the resolution of a percentile
const STEPS = 200_000

export interface Counts {
  requests: number
  seconds: number
  statuses: Record<number, number>
  problems: string[]
  /** Milliseconds. */
  p50: number
  p99: number
  /** Seconds of CPU time that the load itself used. */
  cpu: number
}

export class Tally {
  readonly #histogram = new Uint32Array(STEPS)
  readonly #statuses: Record<number, number> = {}
  readonly #problems = new Set<string>()
  readonly #started = performance.now()
  readonly #cpu = process.cpuUsage()
  #requests = 0

  count(status: number, milliseconds: number): void {
    this.#requests++
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
    const step = Math.min(STEPS - 1, Math.floor(milliseconds / STEP))
    this.#histogram[step] = (this.#histogram[step] ?? 0) + 1
  }

  fail(problem: string): void {
    this.#problems.add(problem)
  }

  read(): Counts {
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      requests: this.#requests,
      seconds: (performance.now() - this.#started) / 1000,
      statuses: this.#statuses,
      problems: [...this.#problems],
      p50: this.#percentile(0.5),
      p99: this.#percentile(0.99),
      cpu: (user + system) / 1e6,
    }
  }

  #percentile(share: number): number {
    let left = this.#requests * share
    const step = this.#histogram.findIndex(count => {
      left -= count
      return left <= 0
    })
    return (step + 1) * STEP
  }
}
