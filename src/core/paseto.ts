// The form of a PASETO of version 4, purpose public: `v4.public.`, payload and signature, and a footer with the id of the key
// (PASETO specification: Version4, Payload Processing; PASERK: pid). Every other version and purpose is rejected. Nothing in a
// token chooses how it is verified: the version fixes the algorithm, and the key is only for this version (Algorithm Lucidity).
import { isCanonical } from './compact-jws.ts'
import type { DetailOf, RefusalFacts } from './details.ts'
import { OAuthError } from './errors.ts'

/** The version and purpose of every PASETO of this project, and the `alg` of their keys in a JWK. */
export const pasetoVersion = 'v4.public'

/** The segments of a PASETO that is not verified yet. */
export interface PasetoParts {
  /** The PASERK id of the key, from the footer. */
  readonly kid: string
  /** The claims, as JSON in UTF-8 if the issuer is honest. */
  readonly message: Buffer
  readonly signature: Buffer
  readonly footer: Buffer
}

/** Octets of a signature with Ed25519 (RFC 8032 §5.1.6). */
const signatureLength = 64

/** The longest accepted token, in characters. */
const longest = 4096

/** A footer of this form has one spelling, one level and no duplicate members. It is compared before any JSON is parsed. */
const footerForm = /^\{"kid":"(k4\.pid\.[\w-]{44})"\}$/

/** The longest footer that is decoded, in characters of base64url. One of the form above has 82. */
export const longestFooter = 100

/** Returns whether a text begins like a PASETO of any version and purpose. No JWT and no opaque token does. */
export function isPaseto(token: string): boolean {
  return /^v\d{1,3}\.[a-z]{1,16}\./.test(token)
}

/** Builds the footer for a key id. */
export function buildFooter(kid: string): Buffer {
  return Buffer.from(JSON.stringify({ kid }))
}

/**
 * Builds the implicit assertion of an access token: what issuer and verifier sign and do not send. A token of another issuer, or
 * one that the same key signed for another purpose, does not verify.
 */
export function buildImplicitAssertion(issuer: string): Buffer {
  return Buffer.from(JSON.stringify({ iss: issuer, purpose: 'access token' }))
}

/** Joins the parts of a token. */
export function joinPaseto(message: Buffer, signature: Buffer, footer: Buffer): string {
  return `${pasetoVersion}.${Buffer.concat([message, signature]).toString('base64url')}.${footer.toString('base64url')}`
}

/**
 * Splits a token that is not verified yet. `maximumLength` in characters, default 4096.
 * @throws OAuthError `bad_signature` if it does not have the accepted form.
 */
export function parsePaseto(token: string, maximumLength: number = longest): PasetoParts {
  if (token.length > maximumLength) refuse('too_long', { found: token.length, limit: maximumLength })
  const [version, purpose, payload = '', end, ...more] = token.split('.')
  if (`${version}.${purpose}` !== pasetoVersion)
    refuse('paseto_version', { found: `${version}.${purpose}`, expected: pasetoVersion })
  if (more.length > 0) refuse('not_paseto', { found: `${more.length + 4} segments` })
  if (!isCanonical(payload)) refuse('not_paseto', { found: 'a payload that is not base64url' })
  const signed = Buffer.from(payload, 'base64url')
  if (signed.length <= signatureLength) refuse('not_paseto', { found: 'a payload without claims' })
  const { kid, footer } = parseFooter(end)
  return {
    kid,
    footer,
    message: signed.subarray(0, -signatureLength),
    signature: signed.subarray(-signatureLength),
  }
}

function parseFooter(segment: string | undefined): Pick<PasetoParts, 'kid' | 'footer'> {
  if (segment === undefined) return refuse('footer', { found: 'absent' })
  if (segment.length > longestFooter) return refuse('footer', { found: segment.length, limit: longestFooter })
  if (!isCanonical(segment)) return refuse('footer', { found: 'a segment that is not base64url' })
  const footer = Buffer.from(segment, 'base64url')
  const kid = footerForm.exec(footer.toString('latin1'))?.[1]
  return kid === undefined ? refuse('footer', { found: 'another content' }) : { kid, footer }
}

/**
 * Returns the octets that are signed: the pre-authentication encoding (PAE) of header, claims, footer and implicit assertion. Each
 * part is preceded by its length, so that no octet can move from one part to the next.
 */
export function buildSignedOctets(message: Buffer, footer: Buffer, implicit: Buffer): Buffer {
  const parts = [header, message, footer, implicit]
  const lengths = Buffer.alloc(8 * (parts.length + 1)) // 64 bits in little-endian order; the upper 32 are never used
  lengths.writeUInt32LE(parts.length, 0)
  const pieces: Buffer[] = [lengths.subarray(0, 8)]
  parts.forEach((part, index) => {
    const from = 8 * (index + 1)
    lengths.writeUInt32LE(part.length, from)
    pieces.push(lengths.subarray(from, from + 8), part)
  })
  return Buffer.concat(pieces)
}

const header = Buffer.from(`${pasetoVersion}.`)

function refuse(detail: DetailOf<'bad_signature'>, facts: RefusalFacts): never {
  throw new OAuthError('invalid_token', 'bad_signature', detail, facts)
}
