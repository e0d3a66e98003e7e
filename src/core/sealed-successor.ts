// The successor of a used refresh token, encrypted so that only the token that it replaces opens it. A store has the hash of that
// token and the sealed successor, so its content reveals neither. RFC 5869 (HKDF), NIST SP 800-38D (AES-256-GCM).
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { buildOpaqueToken, isOpaqueToken } from './opaque-token.ts'

/** Separates these keys from any other that may be derived from a token. */
const label = 'tlsbound: successor of a refresh token'
const algorithm = 'aes-256-gcm'
const lengths = { nonce: 12, tag: 16 }

/** Creates the successor of a token, and seals it. `sealed` is base64url. */
export function createSuccessor(token: string): { readonly successor: string; readonly sealed: string } {
  const random = randomBytes(32 + lengths.nonce) // one call, which is faster than two
  const successor = buildOpaqueToken('rt', random.subarray(0, 32))
  return { successor, sealed: sealSuccessor(successor, token, random.subarray(32)) }
}

/**
 * Encrypts the successor under a key that is derived from the token that it replaces. The nonce must be random: two servers may
 * seal two successors of one token at the same time.
 */
export function sealSuccessor(successor: string, token: string, nonce = randomBytes(lengths.nonce)): string {
  const cipher = createCipheriv(algorithm, deriveKey(token), nonce)
  return Buffer.concat([nonce, cipher.update(successor), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Decrypts a sealed successor. Returns undefined if it was not sealed for this token, or was altered. */
export function openSuccessor(sealed: string, token: string): string | undefined {
  const octets = Buffer.from(sealed, 'base64url')
  if (octets.length <= lengths.nonce + lengths.tag) return undefined
  const decipher = createDecipheriv(algorithm, deriveKey(token), octets.subarray(0, lengths.nonce), {
    authTagLength: lengths.tag,
  })
  decipher.setAuthTag(octets.subarray(-lengths.tag))
  try {
    const body = octets.subarray(lengths.nonce, -lengths.tag)
    const successor = Buffer.concat([decipher.update(body), decipher.final()]).toString()
    return isOpaqueToken(successor) === 'rt' ? successor : undefined
  } catch {
    return undefined
  }
}

/**
 * HKDF-Expand (RFC 5869 §2.3) of one block. It needs no extraction (§3.3), since a token has 256 random bits. Keys are passed to
 * Node as KeyObjects: Node 24 takes ten times longer for one that is text or octets.
 */
function deriveKey(token: string): KeyObject {
  return createSecretKey(createHmac('sha256', createSecretKey(token, 'utf8')).update(`${label}\x01`).digest())
}
