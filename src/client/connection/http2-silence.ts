// Detects dead HTTP/2 connections. A NAT or a firewall drops an idle connection without notice, and a request over it
// would wait for its timeout. So after a silence, a PING is sent first (RFC 9113 §6.7).
import type { ClientHttp2Session } from 'node:http2'
import { guarded } from '../../core/guard.ts'

/** Milliseconds of silence before a PING, and milliseconds that its answer may take. */
const longestSilence = 10_000
const pingTimeout = 3000

export interface Silence {
  /** Records that the server has sent something. */
  broken(): void
  /** Sends a PING if the server has been silent. Resolves on its answer, or when the session is destroyed. */
  ask(): Promise<void> | undefined
}

export function watchSilence(http2: ClientHttp2Session): Silence {
  // Wall-clock time, which advances while a machine sleeps.
  let heardAt = Date.now()
  let asked: Promise<void> | undefined

  function ping(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => http2.destroy(new Error('no answer to a PING within 3 seconds')), pingTimeout)
      const onAnswer = () => {
        clearTimeout(timer)
        asked = undefined
        heardAt = Date.now()
        resolve()
      }
      http2.ping(guarded(onAnswer, error => http2.destroy(error)))
    })
  }

  return {
    broken() {
      heardAt = Date.now()
    },
    ask() {
      const isSilent = Math.abs(Date.now() - heardAt) > longestSilence
      if (asked === undefined && isSilent && !http2.closed && !http2.destroyed) asked = ping()
      return asked
    },
  }
}
