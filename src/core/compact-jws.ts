// Parses the outer form of an access token: three segments in canonical base64url, and a header with exactly three members.
// RFC 7515 §7.1, RFC 8725 §3.1, §3.11. All other header members (jwk, jku, x5c, crit …) are rejected.
import { describeValue } from './describe-value.ts'
import { OAuthError, type Why } from './errors.ts'
import { isTooDeep } from './json-depth.ts'

export interface TokenHeader {
  readonly alg: string
  readonly kid: string
}

/** The longest accepted token, in characters. Tokens of this server have about 700 with ES256. */
const maximumLength = 4096

/**
 * Parses the header of an unverified token.
 * @throws OAuthError `bad_signature` if the text is not a JWS of the accepted form, `wrong_type` if it is not an access token.
 */
export function parseTokenHeader(token: string): TokenHeader {
  if (token.length > maximumLength) refuse('bad_signature', 'too_long', { found: token.length, limit: maximumLength })
  const segments = token.split('.')
  const isForm = segments.length === 3 && segments.every(isCanonical)
  const header = isForm ? parseObject(Buffer.from(segments[0] as string, 'base64url').toString()) : undefined
  if (header === undefined) return refuse('bad_signature', 'not_jws', { found: describeSegments(segments) })
  const { alg, typ, kid, ...others } = header
  // RFC 9068 §4 allows the long form of the media type too.
  if (typ !== 'at+jwt' && typ !== 'application/at+jwt') refuse('wrong_type', 'typ', { found: describeValue(typ) })
  if (typeof alg !== 'string')
    return refuse('bad_signature', 'header_member', { header: 'alg', found: describeValue(alg) })
  if (typeof kid !== 'string')
    return refuse('bad_signature', 'header_member', { header: 'kid', found: describeValue(kid) })
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) refuse('bad_signature', 'header_member', { header: unknown })
  return { alg, kid }
}

/**
 * Returns whether an ECDSA signature on P-256 (64 octets, r and s) has the lower of its two valid values of s. Both values
 * verify; rejecting one of them gives each token one encoding. The signature verification rejects other lengths.
 */
export function hasLowS(signature: Buffer): boolean {
  return signature.length !== 64 || signature.compare(halfOrder, 0, 32, 32, 64) <= 0
}

/** Returns an ECDSA signature on P-256 with the lower value of s. */
export function withLowS(signature: Buffer): Buffer {
  if (hasLowS(signature)) return signature
  const s = order - BigInt(`0x${signature.toString('hex', 32)}`)
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}

/** The order of the curve P-256 (SEC 2 §2.4.2). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const halfOrder = Buffer.from((order >> 1n).toString(16).padStart(64, '0'), 'hex')

/** Returns whether a segment is canonical base64url: no padding, no stray bits, no other alphabet. */
export function isCanonical(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment
}

/** Describes why segments are not a JWS. Five segments are an encrypted token; one segment can be an opaque token. */
export function describeSegments(segments: readonly string[]): string {
  if (segments.length === 1) return 'one segment'
  if (segments.length !== 3) return `${segments.length} segments`
  if (segments[2] === '') return 'an empty signature'
  return segments.every(isCanonical) ? 'a header that is not a JSON object' : 'a segment that is not base64url'
}

/** Parses a JSON object. Returns undefined for any other text, and if the object is nested too deep. */
export function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    if (isTooDeep(json)) return undefined
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function refuse(...why: Why): never {
  throw new OAuthError('invalid_token', ...why)
}
