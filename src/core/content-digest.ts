// The digest of a body in Content-Digest (RFC 9530): over the content as it is sent, so that of a compressed body is over the
// compressed octets.
import { createHash, type Hash, hash, timingSafeEqual } from 'node:crypto'
import { byteSequence, FieldError, octetsOf, parseUniqueDictionary, serializeDictionary } from './structured-fields.ts'

/** The field, in lower case. */
export const digestField = 'content-digest'

/** The algorithms of RFC 9530 §5 that are still secure, with the names of node:crypto. Others are ignored. */
export const digestAlgorithms = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const

export type DigestAlgorithm = keyof typeof digestAlgorithms

/** The digests of a field, by algorithm: one or two. */
export type Digests = ReadonlyMap<DigestAlgorithm, Buffer>

/** Characters of a field; more are refused. Both digests have 150. */
export const maximumDigestField = 8192

const lengths: Readonly<Record<DigestAlgorithm, number>> = { 'sha-256': 32, 'sha-512': 64 }

/** Builds the field for a body, or for octets that were hashed as they were sent: pass `digest`. */
export function buildContentDigest(content: string | Uint8Array, algorithm: DigestAlgorithm = 'sha-256'): string {
  return formatContentDigest(hash(digestAlgorithms[algorithm], content, 'buffer'), algorithm)
}

/** Returns the field for a digest. */
export function formatContentDigest(digest: Uint8Array, algorithm: DigestAlgorithm = 'sha-256'): string {
  return serializeDictionary(new Map([[algorithm, byteSequence(digest)]]))
}

/**
 * Parses the field. Returns an empty map if it has none of the supported algorithms.
 * @throws FieldError if it is not a dictionary, or a digest of a supported algorithm has another form.
 */
export function parseContentDigest(value: string): Digests {
  if (value.length > maximumDigestField) throw new FieldError(`${value.length} characters`)
  const members = parseUniqueDictionary(value)
  const digests = new Map<DigestAlgorithm, Buffer>()
  for (const algorithm of Object.keys(digestAlgorithms) as DigestAlgorithm[]) {
    const member = members.get(algorithm)
    if (member === undefined) continue
    const octets = octetsOf(member)
    if (octets?.length !== lengths[algorithm])
      throw new FieldError(`${algorithm} is not a byte sequence of ${lengths[algorithm]} octets`)
    digests.set(algorithm, octets)
  }
  return digests
}

/** Computes the digests of content that arrives in pieces, and compares each with that of the field. */
export interface DigestCheck {
  update(piece: Uint8Array): void
  /** Returns the first algorithm whose digest differs; undefined if none does. Call it once. */
  findMismatch(): DigestAlgorithm | undefined
}

export function createDigestCheck(digests: Digests): DigestCheck {
  const hashes = [...digests].map(([algorithm, expected]): [DigestAlgorithm, Buffer, Hash] => [
    algorithm,
    expected,
    createHash(digestAlgorithms[algorithm]),
  ])
  return {
    update(piece) {
      for (const [, , running] of hashes) running.update(piece)
    },
    findMismatch() {
      const wrong = hashes.find(([, expected, running]) => !timingSafeEqual(expected, running.digest()))
      return wrong?.[0]
    },
  }
}
