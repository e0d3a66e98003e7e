// Whether a server would take a token, as far as that can be told from outside: the same checks, in the same order.
// What only the server knows (revocation, what a route demands) is left to it.
import { endpointOf } from '../client/metadata.ts'
import { checkClaims, levelOf } from '../core/access-token.ts'
import { parseTokenHeader } from '../core/compact-jws.ts'
import { verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import { openIssuerKeys } from '../verify/issuer-keys.ts'
import { resolveProfile } from '../verify/issuer-profiles.ts'
import { createIssuerReader } from '../verify/issuer-token.ts'
import { type Access, readJson, readMetadata } from './issuer.ts'

type Claims = Readonly<Record<string, unknown>>

/** Whether the signature holds for a key of the issuer, and where its keys are; or why that could not be found out. */
export type Signature =
  | { readonly verified: true; readonly good: boolean; readonly keys: string }
  | { readonly verified: false; readonly why: string }

/** Verifies the signature with the keys that the issuer publishes. Never rejects: what fails is why it is not verified. */
export async function verifySignature(token: string, issuer: string, access: Access): Promise<Signature> {
  try {
    const address = endpointOf(await readMetadata(issuer, access), 'jwks_uri')
    const keys = await readJson(address, access)
    return { verified: true, good: await isSigned(token, issuer, keys as { keys: unknown[] }), keys: address.href }
  } catch (error) {
    return { verified: false, why: (error as Error).message }
  }
}

/** @throws OAuthError (rejects) `wrong_type` */
async function isSigned(token: string, issuer: string, jwks: { keys: unknown[] }): Promise<boolean> {
  const profile = resolveProfile('rfc9068')
  const readToken = createIssuerReader(profile, openIssuerKeys(jwks, { issuer, algorithms: profile.algorithms }).find)
  try {
    await readToken(token)
    return true
  } catch (error) {
    if (error instanceof OAuthError && error.reason === 'bad_signature') return false
    throw error
  }
}

/** What the judgement rests on. */
export interface Circumstances {
  /** Who must have issued it; undefined: whoever it says. */
  readonly issuer: string | undefined
  readonly signature: Signature
  /** With which it would be presented, on a connection made now; undefined: any. */
  readonly certificate: PresenterCertificate | undefined
  /** Seconds since 1970. */
  readonly now: number
}

/** The reason for which a connection made now would be refused with this token; undefined when none is seen. */
export function findRefusal(token: string, claims: Claims, circumstances: Circumstances): Reason | undefined {
  const { issuer, signature, certificate, now } = circumstances
  if (certificate !== undefined && (now < certificate.notBefore || now > certificate.notAfter))
    return 'certificate_expired'
  try {
    parseTokenHeader(token)
    if (signature.verified && !signature.good) return 'bad_signature'
    checkClaims(claims, { issuer: issuer ?? textOf(claims.iss), audience: textOf([claims.aud].flat()[0]) }, now)
    const level = levelOf(claims.cnf)
    // A connection made now has bindings that no token names yet.
    if (certificate !== undefined) verifyConfirmation(claims.cnf, { certificate, bindings: {} }, () => {})
    else if (level === undefined) return 'confirmation_malformed'
    return level === 'connection' ? 'connection_mismatch' : undefined
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}

/** A claim that should be text; what is not is refused by whoever compares it. */
function textOf(claim: unknown): string {
  return typeof claim === 'string' ? claim : ''
}
