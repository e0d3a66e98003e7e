// The certificate that stands in a JSON Web Key, first entry of its `x5c` (RFC 7517 §4.7).
import { type JsonWebKey, X509Certificate } from 'node:crypto'

/** undefined when there is none that can be read. */
export function parseKeyCertificate(key: unknown): X509Certificate | undefined {
  const encoded: unknown = (key as { x5c?: unknown[] } | null)?.x5c?.[0]
  try {
    return new X509Certificate(Buffer.from(encoded as string, 'base64'))
  } catch {
    return undefined
  }
}

/** Whether what a key says of itself, if anything, is what its certificate says too (RFC 7517 §4.7). */
export function agreesWith(key: JsonWebKey, { publicKey }: X509Certificate): boolean {
  const given = (['kty', 'crv', 'x', 'y', 'n', 'e'] as const).filter(member => key[member] !== undefined)
  if (given.length === 0) return true
  try {
    const certified = publicKey.export({ format: 'jwk' })
    return given.every(member => key[member] === certified[member])
  } catch {
    return false // a key that no JWK can stand for
  }
}
