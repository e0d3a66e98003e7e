// The public keys of an outside issuer behind its `jwks_uri` (RFC 7517 §5): fetched when needed, kept for a while.
// Follows nothing, trusts no answer but a small 200 over TLS, and when there is none says that the issuer is unavailable.
import { request } from 'node:https'
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import { OAuthError } from '../core/errors.ts'

/** Finds the one key that a signature was made with; rejects when there is none. */
export type FindOutsideKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>

export interface RemoteKeysOptions {
  readonly uri: string
  /** PEM; without it Node's own authorities. */
  readonly ca: string | undefined
  /** Milliseconds, of a clock that need not be the time of day. */
  readonly clock: () => number
  /** Milliseconds from the first byte to the last. */
  readonly timeout: number
}

/**
 * Milliseconds: for how long keys are good without another look, how long an unknown `kid` causes none, and how long a
 * failure is believed. Octets of the largest document.
 */
export const remoteKeyLimits = { lifetime: 600_000, cooldown: 30_000, retry: 1000, size: 65_536 } as const

/** @throws OAuthError (rejects) `issuer_unavailable` */
export function createRemoteKeys({ uri, ca, clock, timeout }: RemoteKeysOptions): FindOutsideKey {
  let known: { find: FindOutsideKey; since: number } | undefined
  let failure: { refusal: OAuthError; since: number } | undefined
  let underWay: Promise<void> | undefined

  async function load(): Promise<void> {
    try {
      const find = createLocalJWKSet(JSON.parse(await fetchText(uri, ca, timeout)) as JSONWebKeySet)
      known = { find, since: clock() }
      failure = undefined
    } catch (error) {
      const refusal = new OAuthError('temporarily_unavailable', 'issuer_unavailable')
      refusal.cause = error
      failure = { refusal, since: clock() }
      throw refusal
    }
  }

  /** One fetch at a time, however many ask. */
  async function renew(): Promise<void> {
    if (failure !== undefined && clock() - failure.since < remoteKeyLimits.retry) throw failure.refusal
    underWay ??= load().finally(() => {
      underWay = undefined
    })
    await underWay
  }

  return async (header, token) => {
    if (known === undefined || clock() - known.since >= remoteKeyLimits.lifetime) await renew()
    const { find, since } = known as NonNullable<typeof known>
    try {
      return await find(header, token)
    } catch (error) {
      const mayBeNew = error instanceof errors.JWKSNoMatchingKey && clock() - since >= remoteKeyLimits.cooldown
      if (!mayBeNew) throw error
    }
    await renew()
    return (known as NonNullable<typeof known>).find(header, token)
  }
}

function fetchText(uri: string, ca: string | undefined, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' }
    const options = { agent: false, headers, rejectUnauthorized: true, ...(ca !== undefined && { ca }) } as const
    const outgoing = request(uri, options, async response => {
      try {
        if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
        const chunks: Buffer[] = []
        let size = 0
        for await (const chunk of response as AsyncIterable<Buffer>) {
          size += chunk.length
          if (size > remoteKeyLimits.size) throw new Error(`answered with more than ${remoteKeyLimits.size} octets`)
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
