// The token check without a server: an issuer's key, valid claims for a connection, requests, and the refusals.
import type { AccessToken } from '../../../src/core/access-token.ts'
import type { TokenBinding } from '../../../src/core/confirmation.ts'
import { type ErrorCode, OAuthError, type Reason } from '../../../src/core/errors.ts'
import { generateTokenKey, importSigningKey } from '../../../src/keys/token-keys.ts'
import type { Presentation } from '../../../src/verify/proofs.ts'
import { createTokenReader } from '../../../src/verify/token-reader.ts'
import { createTokenVerifier, type TokenVerifierOptions } from '../../../src/verify/token-verifier.ts'
import { type Ends, listenForEnds } from '../tls/tls-ends.ts'
import { claimsFor, issuer } from './forge-token.ts'

/** The facts that the refusal of a token with these `claims` names. */
export const facts = { jti: 'forged', client_id: 'alice' }

export async function startTokenCheck(t: { teardown(end: () => void): void }) {
  /** The time of everything here, in seconds since 1970. */
  const clock = { now: Math.floor(Date.now() / 1000) }
  const key = await importSigningKey(await generateTokenKey('ES256'))
  const ends = await listenForEnds(t, () => clock.now)

  /** Valid claims at a level for a connection; `more` overrides them. */
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

  /** A verifier without remembered tokens, which counts how often it parses one. */
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

/** Returns `accepted`, or the result of `refused`. Rejects with any other exception. */
export async function outcomeOf(check: () => AccessToken | Promise<AccessToken>): Promise<unknown> {
  try {
    await check()
  } catch (error) {
    if (error instanceof OAuthError) return { code: error.code, reason: error.reason, token: error.token }
    throw error
  }
  return 'accepted'
}

/** A refusal with a reason, of a token of this server, which it names. */
export function refused(reason: Reason, code: ErrorCode = 'invalid_token') {
  return { code, reason, token: facts }
}
