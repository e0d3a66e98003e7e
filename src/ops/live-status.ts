// The state of the server itself, for the live page: its version, whether it can make decisions, and when its certificate ends.
import { readFileSync } from 'node:fs'
import { detailOf } from '../core/details.ts'
import type { OAuthError } from '../core/errors.ts'
import { logError } from '../core/guard.ts'
import { findObstacle } from './health.ts'
import { firstEndsOf } from './metrics/ends.ts'
import type { OpsParts } from './parts.ts'

/** Milliseconds between two checks of the readiness, each of which asks the store. */
const interval = 5000

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export interface Status {
  readonly version: string
  /** undefined: not known yet. */
  readonly isReady: boolean | undefined
  /** Why it is not ready, and what to do. */
  readonly obstacle: string | undefined
  /** When the first certificate of the server's chain ends, in seconds since 1970; undefined: the listener is not known. */
  readonly certificateEnds: number | undefined
}

/** Returns a function that reads the status. While it is called, the readiness is checked every few seconds. */
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
      logError(parts.log, error, 'the readiness could not be checked')
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
