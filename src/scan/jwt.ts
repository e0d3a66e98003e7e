// Access tokens that are JWTs, by their own form: a header of type at+jwt, and a cnf that binds them to a certificate.
// Nothing is verified here: whose token it is, only its issuer can say. RFC 7515 §7.1, RFC 9068 §2.1, RFC 8705 §3.1.

import { levelOf } from '../core/access-token.ts'
import { isCanonical, parseObject } from '../core/compact-jws.ts'
import type { Found } from './sighting.ts'

/** Characters of the longest header that is looked for; ours have about 100. */
const maximumHeader = 400

/** A segment that has no other characters can be read; nothing of ours is longer. */
const maximumSegment = 4096

/** The signatures of these algorithms have one length: what follows it stands beside the token. */
const signatureLengths: Readonly<Record<string, number>> = { ES256: 86, EdDSA: 86 }
const shortestSignature = 86

/** Reads the token whose first dot stands at `at`. */
export function readLeakedJwt(text: string, at: number): Found | undefined {
  const claims = readSegment(text, at + 1)
  if (text[at + 1 + claims.length] !== '.' || !isBound(claims)) return undefined
  const signature = readSegment(text, at + claims.length + 2)
  const run = /(?<![\w-])[\w-]*$/.exec(text.slice(Math.max(0, at - maximumHeader), at))?.[0] ?? ''
  // What stands before a token may be of the same characters: a name and an underscore, or the n of \n.
  for (let begin = run.indexOf('eyJ'); begin !== -1; begin = run.indexOf('eyJ', begin + 1)) {
    const header = run.slice(begin)
    const length = readSignatureLength(header, signature.length)
    if (length !== undefined)
      return { start: at - header.length, text: `${header}.${claims}.${signature.slice(0, length)}` }
  }
  return undefined
}

/** Whether claims bind a token as ours do. */
function isBound(segment: string): boolean {
  const claims = isCanonical(segment) ? parseSegment(segment) : undefined
  return levelOf(claims?.cnf) !== undefined
}

/** How long the signature is that belongs to a header; undefined when that is none of ours, or the signature not whole. */
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
