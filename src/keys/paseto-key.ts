// A key that signs and verifies PASETO of version 4, purpose public: Ed25519 (RFC 8032). It is separate from the keys for JWTs: a JWK
// with the `alg` v4.public, whose kid is its PASERK id. The package `paseto` would do the same; its functions are asynchronous, and
// took twice the time of a JWT with EdDSA for a signature and 1.4 times for a verification, even with the same OpenSSL below it.
import { type KeyObject, sign as signOctets, verify as verifyOctets } from 'node:crypto'
import { OAuthError } from '../core/errors.ts'
import {
  buildFooter,
  buildImplicitAssertion,
  buildSignedOctets,
  joinPaseto,
  type PasetoParts,
  pasetoVersion,
} from '../core/paseto.ts'
import { buildPasetoPayload, parsePasetoPayload } from '../core/paseto-claims.ts'
import { paserkIdOf } from './paserk.ts'

/** The claims that a PASETO must have: its implicit assertion contains `iss`. */
export interface PasetoClaims {
  readonly iss: string
  readonly iat: number
  readonly exp: number
}

export interface PasetoKey {
  /** Signs claims, with times in seconds since 1970: iss, iat and exp, and any others. Requires the private key. */
  sign(claims: object): string
  /** Verifies no JWT. */
  verify(): undefined
  /** As `verifyPaseto`. */
  verifyPaseto(parts: PasetoParts, issuer: string): Record<string, unknown> | undefined
}

/** Creates a key. @throws Error (rejects) if the kid is not the PASERK id, which other servers compute from the key. */
export async function createPasetoKey(
  kid: string,
  publicKey: KeyObject,
  privateKey: KeyObject | undefined,
): Promise<PasetoKey> {
  const id = await paserkIdOf(String(publicKey.export({ format: 'jwk' }).x))
  if (kid !== id) throw new Error(`key ${kid}: a key with alg ${pasetoVersion} must have its PASERK id as kid, ${id}`)
  const sign = createSigner(kid, privateKey as KeyObject)
  return {
    sign: claims => sign(claims as PasetoClaims),
    verify: () => undefined,
    verifyPaseto: (parts, issuer) => verifyPaseto(parts, publicKey, issuer),
  }
}

function createSigner(kid: string, key: KeyObject): (claims: PasetoClaims) => string {
  const footer = buildFooter(kid)
  return claims => {
    const message = buildPasetoPayload(claims)
    return joinPaseto(message, signParts({ message, footer }, key, buildImplicitAssertion(claims.iss)), footer)
  }
}

/** Returns the signature of claims and footer (PASETO: Version4, Sign). */
export function signParts(
  { message, footer }: Omit<PasetoParts, 'kid' | 'signature'>,
  key: KeyObject,
  implicit: Buffer,
): Buffer {
  return signOctets(null, buildSignedOctets(message, footer, implicit), key)
}

/** Returns whether this key signed these parts (PASETO: Version4, Verify). */
export function isSigned(
  { message, footer, signature }: Omit<PasetoParts, 'kid'>,
  key: KeyObject,
  implicit: Buffer,
): boolean {
  return verifyOctets(null, buildSignedOctets(message, footer, implicit), key, signature)
}

/**
 * Returns the claims of a PASETO of this issuer that this key signed, with times in seconds since 1970; undefined if it did not.
 * @throws OAuthError `bad_signature`, detail `not_paseto`, if the key signed something that is not claims.
 */
export function verifyPaseto(parts: PasetoParts, key: KeyObject, issuer: string): Record<string, unknown> | undefined {
  if (!isSigned(parts, key, buildImplicitAssertion(issuer))) return undefined
  const claims = parsePasetoPayload(parts.message)
  if (claims === undefined)
    throw new OAuthError('invalid_token', 'bad_signature', 'not_paseto', {
      found: 'claims that are not a JSON object in UTF-8 with unique names',
    })
  return claims
}
