// Verifies the signature of a report of leaked tokens, in the format of GitHub's secret scanning partner program: ECDSA on P-256
// with SHA-256 over the octets of the body, in base64 DER. The operator configures the trusted keys.
import { createPublicKey, type KeyObject, verify } from 'node:crypto'

/** Public keys of reporters, by their identifiers. */
export type ReporterKeys = ReadonlyMap<string, KeyObject>

/** Characters in base64; a P-256 signature in DER has at most 72 octets. */
const maximumSignature = 96

/** Returns whether the key signed the body. Accepts only canonical base64, with padding. */
export function isSignedBy(body: Buffer, signature: string, key: KeyObject): boolean {
  if (signature.length > maximumSignature) return false
  const der = Buffer.from(signature, 'base64')
  return der.toString('base64') === signature && verify('sha256', body, { key, dsaEncoding: 'der' }, der)
}

/**
 * Parses a document of the form `{ public_keys: [{ key_identifier, key }] }`, with keys in PEM. All listed keys are trusted.
 * @throws TypeError if a key is invalid.
 */
export function parseReporterKeys(document: unknown): ReporterKeys {
  const entries = listOf(document)
  const keys = new Map(
    entries.map((entry, index) => {
      try {
        return parseReporterKey(entry)
      } catch (error) {
        throw new TypeError(`public_keys number ${index + 1}: ${(error as Error).message}`)
      }
    }),
  )
  if (keys.size !== entries.length) throw new TypeError('two keys have the same key_identifier')
  return keys
}

/** Like `parseReporterKeys`, but for a document of an external reporter: skips keys of unsupported types. */
export function parseUsableReporterKeys(document: unknown): ReporterKeys {
  const usable = listOf(document).flatMap(entry => {
    try {
      return [parseReporterKey(entry)]
    } catch {
      return []
    }
  })
  if (usable.length === 0) throw new TypeError('no key on P-256')
  return new Map(usable)
}

function listOf(document: unknown): readonly unknown[] {
  const entries = (document as { public_keys?: unknown } | null)?.public_keys
  if (!Array.isArray(entries) || entries.length === 0)
    throw new TypeError('public_keys must be a list of at least one key')
  return entries
}

function parseReporterKey(entry: unknown): readonly [identifier: string, key: KeyObject] {
  const { key_identifier: identifier, key: pem } = (entry ?? {}) as Readonly<Record<string, unknown>>
  if (typeof identifier !== 'string' || !/^[\w.~-]{1,128}$/.test(identifier))
    throw new TypeError('key_identifier must have 1 to 128 characters of A-Z, a-z, 0-9 and _.~-')
  // createPublicKey also accepts a private key or a certificate.
  if (typeof pem !== 'string' || !/^\s*-----BEGIN PUBLIC KEY-----/.test(pem))
    throw new TypeError('key must be a text with a PUBLIC KEY block in PEM')
  const key = parsePublicKey(pem)
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new TypeError('key must be on the curve P-256')
  return [identifier, key]
}

function parsePublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch {
    throw new TypeError('key has a PUBLIC KEY block that OpenSSL cannot read')
  }
}
