// The facts of a token that an event may contain: ids and level, never the text. A request refused before its token is
// verified may carry a valid token of this server. The event then names that token, so that a stolen token raises an alarm
// even if its thief has no certificate. No response depends on it.

import { type AccessTokenClaims, isTime, levelOf } from '../core/access-token.ts'
import type { OAuthError, TokenFacts } from '../core/errors.ts'
import { hashOpaqueToken, isOpaqueToken } from '../core/opaque-token.ts'
import type { Store } from '../store/store.ts'
import type { Claims, TokenReader } from './token-reader.ts'

/**
 * Maximum number of tokens that each server reads per second for events alone. Under a flood, further tokens are not read.
 */
const budget = 100

export interface TokenFactsParts {
  readonly readToken: TokenReader
  /** Whether a token was revoked. */
  readonly isRevoked: (claims: AccessTokenClaims) => boolean
  /** Finds refresh tokens. Default: finds none. */
  readonly store?: Pick<Store, 'findRefreshToken'> | undefined
  /** Seconds since 1970. */
  readonly now: () => number
}

/** Adds the facts of the presented token to a refusal if the token is a valid one of this server. Never throws. */
export type AttachTokenFacts = (token: string, refusal: OAuthError) => void | Promise<void>

export function createTokenRecognizer({ readToken, isRevoked, store, now }: TokenFactsParts): AttachTokenFacts {
  let second = 0
  let looked = 0

  function readAlive(claims: Awaited<ReturnType<TokenReader>>): TokenFacts | undefined {
    const isAlive = isTime(claims.exp) && claims.exp > now() && !isRevoked(claims as unknown as AccessTokenClaims)
    return isAlive ? describeToken(claims) : undefined
  }

  async function findAlive(token: string, kind: 'rt' | 'at'): Promise<TokenFacts | undefined> {
    if (kind === 'at') return readAlive(await readToken(token))
    const known = await store?.findRefreshToken(hashOpaqueToken(token))
    if (known === undefined || known.state === 'revoked' || known.grant.expires <= now()) return undefined
    const { id: grant, clientId: client_id, certificate: bound_to } = known.grant
    return { client_id, grant, bound_to }
  }

  return (token, refusal) => {
    const time = Math.floor(now())
    if (time !== second) [second, looked] = [time, 0]
    if (looked++ >= budget) return undefined
    const note = (facts: TokenFacts | undefined) => {
      refusal.token ??= facts
    }
    try {
      const kind = isOpaqueToken(token)
      if (kind !== undefined) return findAlive(token, kind).then(note, () => {})
      const claims = readToken(token)
      if (claims instanceof Promise)
        claims.catch(() => {}) // do not wait for a key fetch
      else note(readAlive(claims))
    } catch {} // not a token of this server, or its state is unknown
    return undefined
  }
}

/** Extracts the ids and the level of a token from its claims. Ignores all other claims. */
export function describeToken({ jti, client_id, grant, cnf }: Claims): TokenFacts {
  const owner = (cnf as { 'x5t#S256'?: unknown } | null | undefined)?.['x5t#S256']
  const level = levelOf(cnf)
  return {
    jti,
    client_id,
    ...(typeof grant === 'string' && { grant }),
    ...(typeof owner === 'string' && { bound_to: owner }),
    ...(level !== undefined && { token_binding: level }),
  }
}
