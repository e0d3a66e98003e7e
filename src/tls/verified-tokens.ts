// The tokens that were verified on a connection, by Authorization header.
import type { AccessToken } from '../core/access-token.ts'

export interface VerifiedToken {
  /** The Authorization header that it was verified in. */
  readonly authorization: string
  readonly token: AccessToken
  /** The generation of the keys that verified the token. */
  readonly generation: number
  /** The latest verified proof that is valid for more than one request. */
  proof: string | undefined
}

/**
 * Maximum number of remembered tokens per connection. One client may act for many users, each with a token of their own.
 */
export const maximumRemembered = 64

export class VerifiedTokens {
  readonly #tokens = new Map<string, VerifiedToken>()
  /** Most connections repeat one token. To compare its header costs less than to hash it for the map. */
  #latest: VerifiedToken | undefined

  get(authorization: string | undefined): VerifiedToken | undefined {
    if (authorization === undefined) return undefined
    if (this.#latest?.authorization === authorization) return this.#latest
    const found = this.#tokens.get(authorization)
    if (found !== undefined) this.#latest = found
    return found
  }

  /** Remembers a token. Forgets the oldest if there are too many. */
  add(verified: VerifiedToken): void {
    if (this.#tokens.size >= maximumRemembered) this.delete(this.#tokens.keys().next().value as string)
    this.#tokens.set(verified.authorization, verified)
    this.#latest = verified
  }

  delete(authorization: string): void {
    this.#tokens.delete(authorization)
    if (this.#latest?.authorization === authorization) this.#latest = undefined
  }

  clear(): void {
    this.#tokens.clear()
    this.#latest = undefined
  }

  get size(): number {
    return this.#tokens.size
  }

  values(): Iterable<VerifiedToken> {
    return this.#tokens.values()
  }
}
