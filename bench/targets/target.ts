// Shared by every server under measurement: its TLS, and the questions it answers.
import { constants } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { answer } from '../child.ts'
import type { Pki } from '../pki.ts'
import { createProfiler, type ProfileQuestions } from '../profiler.ts'

export interface Usage {
  /** Microseconds of CPU time since the process started, all threads. */
  cpu: number
  /** Bytes resident. */
  memory: number
  /** Bytes of JavaScript's heap in use. */
  heap: number
  /** Open file descriptors; NaN where there is no /proc. */
  files: number
}

/**
 * The same conditions for every server: client certificates requested and evaluated in code, TLS 1.3, a full handshake each
 * time.
 */
export const buildTlsOptions = ({ ca, server }: Pki) => ({
  ca: ca.certificate,
  cert: server.certificate,
  key: server.key,
  requestCert: true,
  rejectUnauthorized: false,
  minVersion: 'TLSv1.3' as const,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
})

export type TargetQuestions = {
  start(pki: Pki): Promise<number>
  usage(_: null): Usage
  collectGarbage(_: null): Promise<void>
} & ProfileQuestions

function countFiles(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : Number.NaN
}

/** Adds up other processes; their CPU time has a resolution of 10 ms. Linux only. */
function measureProcesses(pids: readonly number[]): Usage {
  const used: Usage = { cpu: 0, memory: 0, heap: Number.NaN, files: Number.NaN }
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    used.cpu += (Number(fields[11]) + Number(fields[12])) * 10_000
    used.memory += Number(fields[21]) * 4096
  }
  return used
}

/** `start` listens on 127.0.0.1 and returns the port. `pids`: the processes that are the server, if it is not this one. */
export function serveTarget(start: (pki: Pki) => Promise<number>, pids: readonly number[] = []): void {
  const questions: TargetQuestions = {
    start,
    usage: () => {
      if (pids.length > 0) return measureProcesses(pids)
      const { user, system } = process.cpuUsage()
      return {
        cpu: user + system,
        memory: process.memoryUsage.rss(),
        heap: process.memoryUsage().heapUsed,
        files: countFiles(),
      }
    },
    // Twice, with a pause: the first collection runs finalizers whose memory only the second frees.
    collectGarbage: async () => {
      for (let time = 0; time < 2; time++) {
        globalThis.gc?.()
        await pause(100)
      }
    },
    ...createProfiler(),
  }
  answer(questions)
}
