// Recognizes access tokens that are JWTs by their structure: a header of type at+jwt, and a cnf with a certificate. It
// verifies nothing, because only the issuer can. RFC 7515 §7.1, RFC 9068 §2.1, RFC 8705 §3.1.

import { levelOf } from '../core/access-token.ts'
import { isCanonical, parseObject } from '../core/compact-jws.ts'
import type { Found } from './sighting.ts'

/** The longest header in characters; those of tlsbound have about 100. */
const maximumHeader = 400

/** The characters and the maximum length of a segment. */
const maximumSegment = 4096

/** The fixed signature lengths of these algorithms; any further characters are not part of the token. */
const signatureLengths: Readonly<Record<string, number>> = { ES256: 86, EdDSA: 86 }
const shortestSignature = 86

/** Reads the token with its first dot at `at`. */
export function readLeakedJwt(text: string, at: number): Found | undefined {
  const claims = readSegment(text, at + 1)
  if (text[at + 1 + claims.length] !== '.' || !isBound(claims)) return undefined
  const signature = readSegment(text, at + claims.length + 2)
  const run = /(?<![\w-])[\w-]*$/.exec(text.slice(Math.max(0, at - maximumHeader), at))?.[0] ?? ''
  // Preceding characters may look like part of the token: a name and an underscore, or the n of \n.
  for (let begin = run.indexOf('eyJ'); begin !== -1; begin = run.indexOf('eyJ', begin + 1)) {
    const header = run.slice(begin)
    const length = readSignatureLength(header, signature.length)
    if (length !== undefined)
      return { start: at - header.length, text: `${header}.${claims}.${signature.slice(0, length)}` }
  }
  return undefined
}

/** Returns whether the claims have a binding of tlsbound. */
function isBound(segment: string): boolean {
  const claims = isCanonical(segment) ? parseSegment(segment) : undefined
  return levelOf(claims?.cnf) !== undefined
}

/** Returns the signature length for a header; undefined for an unknown one, or an incomplete signature. */
function readSignatureLength(segment: string, available: number): number | undefined {
  const header = isCanonical(segment) ? parseSegment(segment) : undefined
  if (header?.typ !== 'at+jwt') return undefined
  const length = (typeof header.alg === 'string' ? signatureLengths[header.alg] : undefined) ?? available
  return length <= available && length >= shortestSignature ? length : undefined
}

function parseSegment(segment: string): Record<string, unknown> | undefined {
  return parseObject(Buffer.from(segment, 'base64url').toString())
}

function readSegment(text: string, from: number): string {
  return /^[\w-]*/.exec(text.slice(from, from + maximumSegment))?.[0] ?? ''
}
