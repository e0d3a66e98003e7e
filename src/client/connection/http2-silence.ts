// Whether a connection over HTTP/2 is still there. A NAT or a firewall forgets an idle one without a word to either end,
// and a request sent over it would wait for its timeout; so after a silence a PING goes first (RFC 9113 §6.7).
import type { ClientHttp2Session } from 'node:http2'
import { guarded } from '../../core/guard.ts'

/** Milliseconds without a word of the server after which it is asked, and until it has to have answered. */
const longestSilence = 10_000
const pingTimeout = 3000

export interface Silence {
  /** The server has said something. */
  broken(): void
  /** Asks the server whether it is there, if it has been silent; resolves when it has answered, or the session is destroyed. */
  ask(): Promise<void> | undefined
}

export function watchSilence(http2: ClientHttp2Session): Silence {
  // The clock of the day, which goes on while a machine sleeps.
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
