// Whether the server can issue tokens in the format of a client, and what is logged if not. Only PASETO needs a key of its own.
import type { FastifyBaseLogger } from 'fastify'
import type { Client } from '../../core/client.ts'
import { OAuthError } from '../../core/errors.ts'
import { guardedWithLog } from '../../core/guard.ts'
import { pasetoVersion } from '../../core/paseto.ts'
import type { KeyRing } from '../../keys/key-ring.ts'

type PasetoKeys = Pick<KeyRing, 'hasPaseto' | 'nextPaseto'>

const remedy = `add one with tlsbound keys rotate --algorithm ${pasetoVersion}`

/** Returns the refusal of a token request of a client whose format needs a key that the server does not have. */
export function formatUnavailable(): OAuthError {
  return new OAuthError('invalid_client', 'client_disabled', 'format_unavailable')
}

/**
 * Returns a sentence for each registration whose tokens no key can sign at `now`, in seconds since 1970. Members of other types are
 * reported by parseClient.
 */
export function findMissingKeys(registrations: readonly unknown[], keys: PasetoKeys, now: number): string[] {
  if (keys.hasPaseto(now)) return []
  const next = keys.nextPaseto(now)
  const advice =
    next === undefined ? remedy : `one signs from ${new Date(next * 1000).toISOString()} on: wait until then`
  return registrations
    .map(entry => (entry ?? {}) as { readonly client_id?: unknown; readonly access_token_format?: unknown })
    .filter(({ access_token_format: format }) => format === 'paseto')
    .map(
      ({ client_id: id }) =>
        `client ${JSON.stringify(id)}: access_token_format paseto requires a signing key with alg ${pasetoVersion} that signs now; ` +
        advice,
    )
}

/** Milliseconds between two checks whether a key signs PASETO: one may have been removed, or have expired. */
const checkInterval = 10_000

/** The clients that a message names at most. */
const named = 5

/**
 * Logs when no key signs PASETO while clients are registered for it, now or later, and when this has ended. Returns the function that
 * stops it.
 */
export function reportMissingKeys({ clients, keys, now, log }: ReportParts): () => void {
  let isReported = false
  const check = () => {
    const ids = keys.hasPaseto(now())
      ? []
      : clients.enabled.filter(({ format }) => format === 'paseto').map(({ id }) => id)
    if (ids.length > 0 === isReported) return
    isReported = !isReported
    if (isReported) log.error(describeRefused(ids))
    else log.info('no token request is refused any more because a signing key for PASETO is missing')
  }
  check()
  const message = 'unhandled error while looking for signing keys for PASETO'
  const timer = setInterval(guardedWithLog(log, message, check), checkInterval).unref()
  return () => clearInterval(timer)
}

interface ReportParts {
  readonly clients: { readonly enabled: readonly Pick<Client, 'id' | 'format'>[] }
  readonly keys: Pick<KeyRing, 'hasPaseto'>
  /** Seconds since 1970. */
  readonly now: () => number
  readonly log: Pick<FastifyBaseLogger, 'error' | 'info'>
}

function describeRefused(ids: readonly string[]): string {
  const first = ids.slice(0, named).map(id => JSON.stringify(id))
  const others = ids.length > named ? ` and ${ids.length - named} others` : ''
  return (
    `no signing key with alg ${pasetoVersion} signs now: token requests are refused for the clients with access_token_format paseto, ` +
    `${first.join(', ')}${others}; ${remedy}`
  )
}

/** @throws TypeError that names each registration whose tokens no key can sign. */
export function requireKeys(...given: Parameters<typeof findMissingKeys>): void {
  const problems = findMissingKeys(...given)
  if (problems.length > 0) throw new TypeError(problems.join('\n'))
}
