// The outer form of an access token: three segments, one spelling each, and a header of exactly the three members we write.
// RFC 7515 §7.1, RFC 8725 §3.1, §3.11. Whatever else a header could say (jwk, jku, x5c, crit …) is not for us to follow.
import { describeValue } from './describe-value.ts'
import { OAuthError, type Why } from './errors.ts'
import { isTooDeep } from './json-depth.ts'

export interface TokenHeader {
  readonly alg: string
  readonly kid: string
}

/** The longest token that is looked at, in characters; ours have about 700 with ES256. */
const maximumLength = 4096

/**
 * Reads the header of a token that is not verified yet.
 * @throws OAuthError `bad_signature` when the text is not a JWS of our form, `wrong_type` when it is not an access token.
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
 * Whether an ECDSA signature over P-256 (64 octets, r and s) has the lower of its two possible values of s. Both would
 * verify; with one of them refused a token has one spelling. Other lengths are for the verification itself to refuse.
 */
export function hasLowS(signature: Buffer): boolean {
  return signature.length !== 64 || signature.compare(halfOrder, 0, 32, 32, 64) <= 0
}

/** Gives an ECDSA signature over P-256 its lower s. */
export function withLowS(signature: Buffer): Buffer {
  if (hasLowS(signature)) return signature
  const s = order - BigInt(`0x${signature.toString('hex', 32)}`)
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}

/** The order of the curve P-256 (SEC 2 §2.4.2). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const halfOrder = Buffer.from((order >> 1n).toString(16).padStart(64, '0'), 'hex')

/** base64url without padding, in the one spelling that an encoder gives: no stray bits, no other alphabet. */
export function isCanonical(segment: string): boolean {
  return segment !== '' && Buffer.from(segment, 'base64url').toString('base64url') === segment
}

/** Why segments are no JWS: five of them are an encrypted token, one is an opaque token or none at all. */
export function describeSegments(segments: readonly string[]): string {
  if (segments.length === 1) return 'one segment'
  if (segments.length !== 3) return `${segments.length} segments`
  return segments.every(isCanonical) ? 'a header that is not a JSON object' : 'a segment that is not base64url'
}

/** A JSON object as one of our own, else undefined; also for one that is nested too deep. */
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
