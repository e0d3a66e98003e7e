// A JSON document of an issuer at an https URL, such as its public keys (RFC 7517 §5): fetched on demand, and cached. If it cannot
// be fetched, the issuer is unavailable, and the cause of the error describes the problem.
import type { FetchDetail } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import { OutgoingError, type OutgoingProblem } from '../outgoing/failure.ts'
import { fetchJson } from '../outgoing/request.ts'

export interface RemoteDocumentOptions {
  readonly uri: string
  /** PEM. Default: the authorities of Node. */
  readonly ca: string | undefined
  /** Milliseconds; may be a monotonic clock. */
  readonly clock: () => number
  /** Milliseconds from the DNS lookup to the last octet. */
  readonly timeout: number
}

/**
 * Milliseconds: `lifetime` of the cached document, `cooldown` before an entry that was not found causes another fetch, and
 * `retry` after a failure.
 */
export const remoteLimits = { lifetime: 600_000, cooldown: 30_000, retry: 1000 } as const

/** Where a document was fetched, and when, in seconds since 1970. The names are those of facts (core/details.ts). */
export interface Origin {
  readonly address: string
  readonly fetched: number
}

/** The detail of a refusal for each problem. */
const details: Readonly<Record<OutgoingProblem, FetchDetail>> = {
  host_unknown: 'host_unknown',
  refused: 'unreachable',
  unreachable: 'unreachable',
  address_internal: 'unreachable',
  timed_out: 'timed_out',
  closed: 'cut_off',
  cancelled: 'cut_off',
  not_tls: 'not_tls',
  version: 'tls_failed',
  handshake_failed: 'tls_failed',
  own_files_unusable: 'tls_failed',
  own_certificate_refused: 'tls_failed',
  untrusted: 'not_trusted',
  outside_validity: 'outside_validity',
  name_mismatch: 'name_mismatch',
  not_http: 'not_http',
  redirect: 'redirect',
  status: 'status',
  encoded: 'compressed',
  too_large: 'too_large',
  not_json: 'not_json',
  unexpected_content: 'no_usable_key',
}

/** Returns the refusal of a request that needs an answer of an issuer which could not be had. */
export function explainUnavailable(cause: OutgoingError, address: string): OAuthError {
  const facts = { address, found: cause.status }
  return Object.assign(new OAuthError('temporarily_unavailable', 'issuer_unavailable', details[cause.code], facts), {
    cause,
  })
}

/**
 * Looks up a value in the document. If it is not found, fetches the document again, except during the cooldown, and retries.
 * @throws OAuthError (rejects) `issuer_unavailable`, and everything that `look` throws.
 */
export type LookUp<T> = <R>(look: (document: T) => R | undefined | Promise<R | undefined>) => Promise<R | undefined>

/** Creates a lookup function. `parse` converts the JSON, or throws an Error that describes what is invalid. */
export function createRemoteDocument<T>(
  { uri, ca, clock, timeout }: RemoteDocumentOptions,
  parse: (json: unknown, origin: Origin) => T | Promise<T>,
): LookUp<T> {
  const url = new URL(uri)
  let known: { document: T; since: number } | undefined
  let failure: { refusal: OAuthError; since: number } | undefined
  let underWay: Promise<T> | undefined

  async function load(): Promise<T> {
    try {
      const accept = 'application/jwk-set+json, application/json'
      const json = await fetchJson(url, { accept, ca, deadlines: { whole: timeout } })
      const document = await parseDocument(json)
      known = { document, since: clock() }
      failure = undefined
      return document
    } catch (error) {
      const cause = error as OutgoingError
      const refusal = explainUnavailable(cause, url.href)
      const before = failure?.refusal.cause as OutgoingError | undefined
      // Reuses the object of an equal cause, so that it is logged once.
      refusal.cause = before?.message === cause.message ? before : cause
      failure = { refusal, since: clock() }
      throw refusal
    }
  }

  async function parseDocument(json: unknown): Promise<T> {
    try {
      return await parse(json, { address: url.href, fetched: Math.floor(Date.now() / 1000) })
    } catch (cause) {
      const finding = `the document is not valid: ${(cause as Error).message}; check the address`
      throw new OutgoingError('unexpected_content', url.href, finding, { cause })
    }
  }

  /** Fetches the document. Concurrent callers share one fetch. */
  async function renew(): Promise<T> {
    if (failure !== undefined && clock() - failure.since < remoteLimits.retry) throw failure.refusal
    underWay ??= load().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  return async look => {
    const age = known === undefined ? Number.POSITIVE_INFINITY : clock() - known.since
    const isKnown = known !== undefined && age < remoteLimits.lifetime
    const found = await look(isKnown ? (known as NonNullable<typeof known>).document : await renew())
    return found !== undefined || !isKnown || age < remoteLimits.cooldown ? found : look(await renew())
  }
}
