// Verifies the binding proofs of requests. Each proof is verified once per connection and remembered with its token. A
// proof for a single request is valid for that request only, and only once (binding-proof draft §3.3).
import type { IncomingMessage } from 'node:http'
import {
  hashToken,
  isPerRequest,
  isReusable,
  type ProofClaims,
  proofWindow,
  verifyBindingProof,
} from '../core/binding-proof.ts'
import { proofHeader, requireOwnConnection } from '../core/confirmation.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import type { Presenter } from '../core/presenter.ts'
import type { Connection, ConnectionCarrier } from '../tls/connection.ts'
import type { VerifiedToken } from '../tls/verified-tokens.ts'

/** The parts of a request that a proof refers to, and how it arrived. */
export type Presentation = Pick<IncomingMessage, 'headers' | 'method' | 'url'> & ConnectionCarrier

/**
 * Maximum number of remembered ids of proofs and nonces of signatures per connection, about 250 per second. Further ones are
 * refused.
 */
export const maximumUsed = 16_384

/**
 * Maximum number of tokens per connection with a verified proof, about 200 octets each. Beyond it, the oldest needs a new
 * proof.
 */
export const maximumProven = 1024

/** Returns the proof of a request. Node joins two proofs into one invalid value. */
export function readProof({ headers }: Presentation): string | undefined {
  return headers['session-binding-proof'] as string | undefined
}

/** Proofs that are limited, by their request: two demands of one request, such as of nested middleware, need one proof. */
const limited = new WeakMap<Presentation, { readonly ath: string; readonly claims: ProofClaims }>()

/**
 * Verifies the proof of a request for `token`, at `now` in seconds since 1970. Returns the proof if later requests of this
 * connection can reuse it. `perRequest`: the proof must be made for this request alone.
 * @throws OAuthError `proof_missing` or `proof_invalid`; `connection_mismatch` behind a proxy that ends TLS.
 */
export function requireProof(
  request: Presentation,
  token: string,
  connection: Connection,
  now: number,
  perRequest = false,
): string | undefined {
  requireOwnConnection(connection.presenter as Presenter)
  const proof = readProof(request)
  if (proof === undefined)
    throw new OAuthError('use_session_binding', 'proof_missing', 'header_missing', { header: proofHeader })
  const ath = hashToken(token)
  const accept = (claims: ProofClaims): undefined => {
    if (perRequest && !isPerRequest(claims))
      throw invalid('not_per_request', { found: Object.keys(claims).join(' '), expected: 'jti htm htu' })
  }
  // Verified on this connection before: its time window applied to the first use and has passed.
  if (!perRequest && connection.provenTokens?.get(ath) === hashToken(proof)) return proof
  const before = limited.get(request)
  if (before?.ath === ath) return accept(before.claims)
  const { method = '' } = request
  const proven = { token, method, target: targetOf(request) }
  const claims = verifyBindingProof(proof, proven, connection.presenter as Presenter, now)
  accept(claims)
  if (claims.jti !== undefined) useOnce(hashToken(claims.jti), connection, now, refuseUse) // as a hash, since the id can be long
  if (!isReusable(claims)) {
    limited.set(request, { ath, claims })
    return undefined
  }
  connection.provenTokens ??= new Map()
  const known = connection.provenTokens
  known.delete(ath)
  if (known.size >= maximumProven) known.delete(known.keys().next().value as string) // the oldest
  known.set(ath, hashToken(proof))
  return proof
}

interface Targeted {
  readonly originalUrl?: string | undefined
  readonly url?: string | undefined
}

/** Returns the request target as the client sent it. Web frameworks that mount an app at a path shorten `url`. */
export function targetOf({ originalUrl, url = '' }: Targeted): string {
  return originalUrl ?? url
}

/**
 * Records the id of a proof, or the nonce of a signature, which is valid once. After the window of proofs, which is that of
 * signatures too, both are too old anyway. @throws what `refuse` returns, for a second use or too many ids.
 */
export function useOnce(
  id: string,
  connection: Connection,
  now: number,
  refuse: (detail: 'used_already' | 'too_many', limit?: number) => OAuthError,
): void {
  connection.usedProofs ??= new Map()
  const used = connection.usedProofs
  for (const [old, since] of used) {
    if (since + proofWindow.past + proofWindow.future >= now) break
    used.delete(old)
  }
  if (used.has(id)) throw refuse('used_already')
  if (used.size >= maximumUsed) throw refuse('too_many', maximumUsed)
  used.set(id, now)
}

const refuseUse = (detail: 'used_already' | 'too_many', limit?: number) => invalid(detail, { limit })

/** Checks whether a request carries the proof that was verified with its token before. */
export function isProven(request: Presentation, { proof }: VerifiedToken): boolean {
  return proof !== undefined && readProof(request) === proof
}

function invalid(detail: DetailOf<'proof_invalid'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_proof', 'proof_invalid', detail, facts)
}
