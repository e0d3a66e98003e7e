// The state of the server for the live page: version, readiness, and expiry of its certificate.
import { readFileSync } from 'node:fs'
import { detailOf } from '../core/details.ts'
import type { OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { findObstacle } from './health.ts'
import { firstEndsOf } from './metrics/ends.ts'
import type { OpsParts } from './parts.ts'

/** Milliseconds between two readiness checks, each of which queries the store. */
const interval = 5000

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export interface Status {
  readonly version: string
  /** Undefined: not known yet. */
  readonly isReady: boolean | undefined
  /** Why the server is not ready, and what to do. */
  readonly obstacle: string | undefined
  /** Earliest expiry in the server's certificate chain, in seconds since 1970. Undefined: the listener is unknown. */
  readonly certificateEnds: number | undefined
}

/** Returns a function that returns the status. While it is called, readiness is checked every few seconds. */
export function createStatus(parts: OpsParts): () => Status {
  let readiness: Pick<Status, 'isReady' | 'obstacle'> = { isReady: undefined, obstacle: undefined }
  let isChecking = false
  let next = 0

  async function check(): Promise<void> {
    isChecking = true
    try {
      const found = await findObstacle(parts)
      readiness = { isReady: found === undefined, obstacle: found && explain(found) }
    } catch (error) {
      logError(parts.log, error, 'the readiness check failed')
    }
    isChecking = false
  }

  return () => {
    if (!isChecking && performance.now() >= next) {
      next = performance.now() + interval
      check()
    }
    return { version, ...readiness, certificateEnds: parts.tls && firstEndsOf(parts.tls.inUse()).server_certificate }
  }
}

function explain({ reason, detail }: OAuthError): string {
  const { cause, remedy } = detailOf(reason, detail)
  return `${cause} ${remedy}`
}
