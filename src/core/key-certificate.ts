// The certificate in a JSON Web Key: the first entry of `x5c` (RFC 7517 §4.7).
import { type JsonWebKey, X509Certificate } from 'node:crypto'

/** Parses the certificate of a key. Returns undefined if it is absent or malformed. */
export function parseKeyCertificate(key: unknown): X509Certificate | undefined {
  const encoded: unknown = (key as { x5c?: unknown[] } | null)?.x5c?.[0]
  try {
    return new X509Certificate(Buffer.from(encoded as string, 'base64'))
  } catch {
    return undefined
  }
}

/** Returns whether the members of a key equal those of the key in its certificate; absent members are ignored (RFC 7517 §4.7). */
export function agreesWith(key: JsonWebKey, { publicKey }: X509Certificate): boolean {
  const given = (['kty', 'crv', 'x', 'y', 'n', 'e'] as const).filter(member => key[member] !== undefined)
  if (given.length === 0) return true
  try {
    const certified = publicKey.export({ format: 'jwk' })
    return given.every(member => key[member] === certified[member])
  } catch {
    return false // no JWK can represent this key
  }
}
