// What an event may say of a token that is one of ours: its ids and its level, never its text.
import { readLevel } from '../core/describe-token.ts'
import type { TokenFacts } from '../core/errors.ts'
import type { Claims } from './token-reader.ts'

/** Reads the ids and the level of a token from its claims, whatever else these hold. */
export function describeToken({ jti, client_id, grant, cnf }: Claims): TokenFacts {
  const owner = (cnf as { 'x5t#S256'?: unknown } | null | undefined)?.['x5t#S256']
  const level = readLevel(cnf)
  return {
    jti,
    client_id,
    ...(typeof grant === 'string' && { grant }),
    ...(typeof owner === 'string' && { bound_to: owner }),
    ...(level !== undefined && { token_binding: level }),
  }
}
