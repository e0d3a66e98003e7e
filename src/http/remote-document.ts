// A JSON document of an issuer behind an https address, such as its public keys (RFC 7517 §5): fetched when needed, and
// stored for a while. When there is none, the issuer is unavailable, and the cause says what was found at the address.
import { OAuthError } from '../core/errors.ts'
import { OutgoingError } from '../outgoing/failure.ts'
import { fetchJson } from '../outgoing/request.ts'

export interface RemoteDocumentOptions {
  readonly uri: string
  /** PEM; without it Node's own authorities. */
  readonly ca: string | undefined
  /** Milliseconds, of a clock that need not be the time of day. */
  readonly clock: () => number
  /** Milliseconds from the name look-up to the last octet. */
  readonly timeout: number
}

/**
 * Milliseconds: how long a document is valid before it is fetched again, how long it is not fetched again because something
 * is not in it, and how long after a failure the next attempt is made.
 */
export const remoteLimits = { lifetime: 600_000, cooldown: 30_000, retry: 1000 } as const

/**
 * Looks something up in the document; when it is not there, once more in a newer one, unless that was just done.
 * @throws OAuthError (rejects) `issuer_unavailable`; and what the look itself throws.
 */
export type LookUp<T> = <R>(look: (document: T) => R | undefined | Promise<R | undefined>) => Promise<R | undefined>

/** `parse` makes of the JSON what is looked into, or throws an Error that says what is wrong with it. */
export function createRemoteDocument<T>(
  { uri, ca, clock, timeout }: RemoteDocumentOptions,
  parse: (json: unknown) => T | Promise<T>,
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
      const refusal = new OAuthError('temporarily_unavailable', 'issuer_unavailable')
      const before = failure?.refusal.cause as Error | undefined
      // The same cause stays the same object, so that it is logged once.
      refusal.cause = before?.message === (error as Error).message ? before : error
      failure = { refusal, since: clock() }
      throw refusal
    }
  }

  async function parseDocument(json: unknown): Promise<T> {
    try {
      return await parse(json)
    } catch (cause) {
      const finding = `the document cannot be used: ${(cause as Error).message}; check the address`
      throw new OutgoingError('unexpected_content', url.href, finding, { cause })
    }
  }

  /** One fetch at a time, however many ask. */
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
