// A document of an issuer behind an https address, such as its public keys (RFC 7517 §5): fetched when needed, kept a while.
// Follows nothing, trusts no answer but a small 200 over TLS, and when there is none says that the issuer is unavailable.
import { request } from 'node:https'
import { OAuthError } from '../core/errors.ts'

export interface RemoteDocumentOptions {
  readonly uri: string
  /** PEM; without it Node's own authorities. */
  readonly ca: string | undefined
  /** Milliseconds, of a clock that need not be the time of day. */
  readonly clock: () => number
  /** Milliseconds from the first byte to the last. */
  readonly timeout: number
}

/**
 * Milliseconds: for how long a document is good without another look, how long it is not asked for again because something
 * is not in it, and how long a failure is believed. Octets of the largest document.
 */
export const remoteLimits = { lifetime: 600_000, cooldown: 30_000, retry: 1000, size: 65_536 } as const

/**
 * Looks something up in the document; when it is not there, once more in a newer one, unless that was just done.
 * @throws OAuthError (rejects) `issuer_unavailable`; and what the look itself throws.
 */
export type LookUp<T> = <R>(look: (document: T) => R | undefined | Promise<R | undefined>) => Promise<R | undefined>

/** `read` makes of the text what is looked into, or throws when it is not such a document. */
export function createRemoteDocument<T>(
  { uri, ca, clock, timeout }: RemoteDocumentOptions,
  read: (text: string) => T | Promise<T>,
): LookUp<T> {
  let known: { document: T; since: number } | undefined
  let failure: { refusal: OAuthError; since: number } | undefined
  let underWay: Promise<T> | undefined

  async function load(): Promise<T> {
    try {
      const document = await read(await fetchText(uri, ca, timeout))
      known = { document, since: clock() }
      failure = undefined
      return document
    } catch (error) {
      const refusal = new OAuthError('temporarily_unavailable', 'issuer_unavailable', 'keys', { address: uri })
      refusal.cause = error
      failure = { refusal, since: clock() }
      throw refusal
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

function fetchText(uri: string, ca: string | undefined, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const accept = 'application/jwk-set+json, application/json'
    const headers = { accept, 'accept-encoding': 'identity', 'user-agent': 'tlsbound' } // some want to know who asks
    const options = { agent: false, headers, rejectUnauthorized: true, ...(ca !== undefined && { ca }) } as const
    const outgoing = request(uri, options, async response => {
      try {
        if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
        const chunks: Buffer[] = []
        let size = 0
        for await (const chunk of response as AsyncIterable<Buffer>) {
          size += chunk.length
          if (size > remoteLimits.size) throw new Error(`answered with more than ${remoteLimits.size} octets`)
          chunks.push(chunk)
        }
        resolve(Buffer.concat(chunks).toString())
      } catch (error) {
        reject(error)
      } finally {
        outgoing.destroy()
      }
    })
    const timer = setTimeout(() => outgoing.destroy(new Error(`did not answer within ${timeout} ms`)), timeout)
    outgoing
      .on('error', reject)
      .on('close', () => clearTimeout(timer))
      .end()
  })
}
