// Predicts whether a server would accept a token, with the checks of the server in the same order. Revocation and the
// requirements of a route are known only to the server.
import { endpointOf } from '../client/metadata.ts'
import { checkClaims, levelOf } from '../core/access-token.ts'
import { parseTokenHeader } from '../core/compact-jws.ts'
import { verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import { isPaseto, parsePaseto } from '../core/paseto.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import { openIssuerKeys } from '../verify/issuer-keys.ts'
import { resolveProfile } from '../verify/issuer-profiles.ts'
import { createIssuerReader } from '../verify/issuer-token.ts'
import { type Access, readJson, readMetadata } from './issuer.ts'

type Claims = Readonly<Record<string, unknown>>

/** Whether a key of the issuer verifies the signature, and where its keys are; or why that is unknown. */
export type Signature =
  | { readonly verified: true; readonly good: boolean; readonly keys: string }
  | { readonly verified: false; readonly why: string }

/** Verifies the signature with the published keys of the issuer. Never rejects: an error becomes the reason. */
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
  const readToken = createIssuerReader(
    profile,
    openIssuerKeys(jwks, { issuer, algorithms: profile.algorithms }).find,
    issuer,
  )
  try {
    await readToken(token)
    return true
  } catch (error) {
    if (error instanceof OAuthError && error.reason === 'bad_signature') return false
    throw error
  }
}

/** The circumstances of a presentation. */
export interface Circumstances {
  /** The required issuer; undefined: the issuer that the token names. */
  readonly issuer: string | undefined
  readonly signature: Signature
  /** The certificate of a new connection that presents the token; undefined: any. */
  readonly certificate: PresenterCertificate | undefined
  /** Seconds since 1970. */
  readonly now: number
}

/** Returns the reason why a new connection with this token would be rejected; undefined when none is visible. */
export function findRefusal(token: string, claims: Claims, circumstances: Circumstances): Reason | undefined {
  const { issuer, signature, certificate, now } = circumstances
  if (certificate !== undefined && (now < certificate.notBefore || now > certificate.notAfter))
    return 'certificate_expired'
  try {
    if (isPaseto(token)) parsePaseto(token)
    else parseTokenHeader(token)
    if (signature.verified && !signature.good) return 'bad_signature'
    checkClaims(claims, { issuer: issuer ?? textOf(claims.iss), audience: textOf([claims.aud].flat()[0]) }, now)
    const level = levelOf(claims.cnf)
    // A new connection has bindings that no token contains yet.
    if (certificate !== undefined) verifyConfirmation(claims.cnf, { certificate, bindings: {} }, () => {})
    else if (level === undefined) return 'confirmation_malformed'
    return level === 'connection' ? 'connection_mismatch' : undefined
  } catch (error) {
    if (error instanceof OAuthError) return error.reason
    throw error
  }
}

/** Returns a claim that should be text; the comparison rejects any other type. */
function textOf(claim: unknown): string {
  return typeof claim === 'string' ? claim : ''
}
