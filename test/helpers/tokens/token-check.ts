// The token check without a server around it: an issuer's key, good claims for a connection, requests, and what was refused.
import type { AccessToken } from '../../../src/core/access-token.ts'
import type { TokenBinding } from '../../../src/core/confirmation.ts'
import { type ErrorCode, OAuthError, type Reason } from '../../../src/core/errors.ts'
import { generateTokenKey, importSigningKey } from '../../../src/keys/token-keys.ts'
import type { Presentation } from '../../../src/verify/proofs.ts'
import { createTokenReader } from '../../../src/verify/token-reader.ts'
import { createTokenVerifier, type TokenVerifierOptions } from '../../../src/verify/token-verifier.ts'
import { type Ends, listenForEnds } from '../tls/tls-ends.ts'
import { claimsFor, issuer } from './forge-token.ts'

/** What the refusal of a token of `claims` says of it. */
export const facts = { jti: 'forged', client_id: 'alice' }

export async function startTokenCheck(t: { teardown(end: () => void): void }) {
  /** Seconds since 1970, by which everything here goes. */
  const clock = { now: Math.floor(Date.now() / 1000) }
  const key = await importSigningKey(await generateTokenKey('ES256'))
  const ends = await listenForEnds(t, () => clock.now)

  /** Good claims at a level for a connection; `more` goes before them. */
  const claims = ({ client }: Ends, level: TokenBinding, more: object = {}) => {
    const good = claimsFor(client, { clock: clock.now })
    const { 'x5t#S256': x5t } = good.cnf
    const cnf = {
      certificate: { 'x5t#S256': x5t },
      proof: { 'x5t#S256': x5t, tls_exp: 'EXPORTER-oauth-tls-session-bound' },
      connection: good.cnf,
    }[level]
    return { ...good, cnf, ...more }
  }
  const sign = (...of: Parameters<typeof claims>) => key.sign(claims(...of))

  /** A verifier of our tokens, which has never seen one, and counts how often it has to read one. */
  const build = (options: Partial<TokenVerifierOptions> = {}) => {
    const { readToken = createTokenReader(kid => (kid === key.kid ? key : undefined)) } = options
    const counted = { reads: 0 }
    const verifier = createTokenVerifier({
      ...{ issuer, audience: issuer, now: () => clock.now, ...options },
      readToken: token => {
        counted.reads++
        return readToken(token)
      },
    })
    return Object.assign(counted, verifier)
  }
  return { ...ends, clock, key, claims, sign, build }
}

export function request(token: string, proof?: string, more: Partial<Presentation> = {}): Presentation {
  const headers = { authorization: `Bearer ${token}`, ...(proof !== undefined && { 'session-binding-proof': proof }) }
  return { headers, method: 'GET', url: '/', ...more }
}

/** How a check ended: `accepted`, or as `refused` says. Rejects with what is no refusal. */
export async function outcomeOf(check: () => AccessToken | Promise<AccessToken>): Promise<unknown> {
  try {
    await check()
  } catch (error) {
    if (error instanceof OAuthError) return { code: error.code, reason: error.reason, token: error.token }
    throw error
  }
  return 'accepted'
}

/** A refusal for a reason, of a token that is ours, which it names. */
export function refused(reason: Reason, code: ErrorCode = 'invalid_token') {
  return { code, reason, token: facts }
}
