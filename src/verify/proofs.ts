// Binding proofs as they come with requests: each is verified once on a connection and remembered with its token there;
// one that was made for a single request is good for that request and never again (binding-proof draft §3.3).
import type { IncomingMessage } from 'node:http'
import { hashToken, isPerRequest, isReusable, proofWindow, verifyBindingProof } from '../core/binding-proof.ts'
import type { DetailOf, RefusalFacts } from '../core/details.ts'
import { OAuthError } from '../core/errors.ts'
import type { Presenter } from '../core/presenter.ts'
import type { Connection, VerifiedToken } from '../tls/connection.ts'

/** What is needed of a request. */
export type Presentation = Pick<IncomingMessage, 'headers' | 'method' | 'url'>

/** Ids that are remembered for each connection, which is about 250 single-request proofs each second; more are refused. */
export const maximumUsed = 16_384

/** Tokens of each connection whose proof is known to be good; beyond that the oldest needs a new one. About 200 octets each. */
export const maximumProven = 1024

/** The proof that a request brings. Two of them in one request are joined by Node, and so are none. */
export function readProof({ headers }: Presentation): string | undefined {
  return headers['session-binding-proof'] as string | undefined
}

/**
 * Verifies the proof of a request for `token`, at `now` in seconds since 1970, and returns it if it can serve further
 * requests of this connection. `perRequest`: it must have been made for this request alone.
 * @throws OAuthError `proof_missing` or `proof_invalid`.
 */
export function requireProof(
  request: Presentation,
  token: string,
  connection: Connection,
  now: number,
  perRequest = false,
): string | undefined {
  const proof = readProof(request)
  if (proof === undefined) throw new OAuthError('use_session_binding', 'proof_missing', 'header_missing')
  const ath = hashToken(token)
  // Verified here before: its window was that of its first use, and is over.
  if (!perRequest && connection.provenTokens?.get(ath) === hashToken(proof)) return proof
  const { method = '', url: target = '' } = request
  const claims = verifyBindingProof(proof, { token, method, target }, connection.presenter as Presenter, now)
  if (perRequest && !isPerRequest(claims))
    throw invalid('not_per_request', { found: Object.keys(claims).join(' '), expected: 'jti htm htu' })
  if (claims.jti !== undefined) use(hashToken(claims.jti), connection, now) // its hash, since it can be long
  if (!isReusable(claims)) return undefined
  connection.provenTokens ??= new Map()
  const proven = connection.provenTokens
  proven.delete(ath)
  if (proven.size >= maximumProven) proven.delete(proven.keys().next().value as string) // the oldest
  proven.set(ath, hashToken(proof))
  return proof
}

/** Takes note of an id. After the window its proof is too old anyway. */
function use(jti: string, connection: Connection, now: number): void {
  connection.usedProofs ??= new Map()
  const used = connection.usedProofs
  for (const [id, since] of used) {
    if (since + proofWindow.past + proofWindow.future >= now) break
    used.delete(id)
  }
  if (used.has(jti)) throw invalid('used_already')
  if (used.size >= maximumUsed) throw invalid('too_many', { limit: maximumUsed })
  used.set(jti, now)
}

/** Whether the proof of a request is the one that was verified with its token before. */
export function isProven(request: Presentation, { proof }: VerifiedToken): boolean {
  return proof !== undefined && readProof(request) === proof
}

function invalid(detail: DetailOf<'proof_invalid'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_proof', 'proof_invalid', detail, facts)
}
