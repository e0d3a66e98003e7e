// Shared by every server under measurement: its TLS, and the questions it answers.
import { constants } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { type Profiler, Session } from 'node:inspector/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { answer } from '../child.ts'
import type { Pki } from '../pki.ts'

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
  startProfile(_: null): Promise<void>
  stopProfile(_: null): Promise<Profiler.Profile>
}

function countFiles(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : Number.NaN
}

/** `start` listens on 127.0.0.1 and returns the port. */
export function serveTarget(start: (pki: Pki) => Promise<number>): void {
  const session = new Session()
  const questions: TargetQuestions = {
    start,
    usage: () => {
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
    startProfile: async () => {
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.start')
    },
    stopProfile: async () => (await session.post('Profiler.stop')).profile,
  }
  answer(questions)
}
