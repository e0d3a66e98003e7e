// The memory and files of a server process according to the kernel (proc(5)), and the latency of a client during a flood. The
// flood is another process, so that its cost does not count.
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { type RunningServer, run } from '../process/process.ts'
import type { Flooded, FloodKind } from './exhaustion-flood.ts'

export interface Weight {
  /** Open file descriptors: one for each connection, and some of the server itself. */
  readonly files: number
  /** Bytes resident. */
  readonly memory: number
}

export function weigh({ child: { pid } }: Pick<RunningServer, 'child'>): Weight {
  const memory = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { files: readdirSync(`/proc/${pid}/fd`).length, memory: Number(memory) * 1024 }
}

/** Waits until a server has at most this many files open. Rejects after `limit` seconds. */
export async function untilFiles(server: RunningServer, most: number, limit: number): Promise<void> {
  const end = performance.now() + limit * 1000
  for (let { files } = weigh(server); files > most; { files } = weigh(server)) {
    if (performance.now() > end) throw new Error(`${files} files are open after ${limit} s, not ${most}`)
    await pause(50)
  }
}

export interface Waits {
  /** Responses by status. */
  readonly statuses: Readonly<Record<number, number>>
  /** The p50, p99 and maximum latency in milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

/** Runs a flood for some seconds, while a client uses its token on its own connection. */
export async function flood(
  kind: FloodKind,
  server: RunningServer,
  folder: string,
  seconds: number,
  victim: { readonly connection: TestConnection; readonly token: string },
): Promise<{ flooded: Flooded; waits: Waits }> {
  const program = [resolve('test/helpers/server/exhaustion-flood.ts'), kind, String(server.port), String(seconds)]
  let isOver = false
  const ended = run(process.execPath, program, folder).finally(() => {
    isOver = true
  })
  const waits = await watch(victim.connection, victim.token, () => isOver)
  const { code, stdout, stderr } = await ended
  if (code !== 0) throw new Error(`the flood ended with ${code}: ${stderr}`)
  return { flooded: JSON.parse(stdout) as Flooded, waits }
}

async function watch(connection: TestConnection, token: string, isOver: () => boolean): Promise<Waits> {
  const statuses: Record<number, number> = {}
  const waits: number[] = []
  while (!isOver()) {
    const since = performance.now()
    const { status } = await connection.get('/api/whoami', token)
    waits.push(performance.now() - since)
    statuses[status] = (statuses[status] ?? 0) + 1
    await pause(5) // a client with work of its own, not a flood
  }
  waits.sort((one, other) => one - other)
  const quantile = (share: number) => waits[Math.ceil(share * waits.length) - 1] ?? Number.NaN
  return { statuses, p50: quantile(0.5), p99: quantile(0.99), longest: quantile(1) }
}

/** Such as "p50 2 ms, p99 31 ms, longest 40 ms of 512 requests". */
export function tellWaits({ statuses, p50, p99, longest }: Waits): string {
  const [half, most, all] = [p50, p99, longest].map(wait => `${wait.toFixed(1)} ms`)
  return `the victim's p50 ${half}, p99 ${most}, longest ${all}; ${JSON.stringify(statuses)}`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
