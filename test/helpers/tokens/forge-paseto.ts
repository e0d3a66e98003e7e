// PASETO made by hand with node:crypto, independently of src: any header, claims, footer, implicit assertion and key (PASETO
// specification: Version4, Common). A second reader and writer beside the one of the server.
import { createPrivateKey, createPublicKey, type JsonWebKeyInput, sign, verify } from 'node:crypto'
import type { TokenJwk } from '../../../src/keys/token-keys.ts'
import { encode, issuer } from './forge-token.ts'

/** Pre-authentication encoding: the number of pieces, then each piece after its length, as 64 bits in little-endian order. */
export function encodePieces(...pieces: readonly Buffer[]): Buffer {
  const number = (value: number) => {
    const octets = Buffer.alloc(8)
    octets.writeBigUInt64LE(BigInt(value))
    return octets
  }
  return Buffer.concat([number(pieces.length), ...pieces.flatMap(piece => [number(piece.length), piece])])
}

/** The implicit assertion of an access token of this issuer. */
export const implicitOf = (iss: string = issuer) => `{"iss":"${iss}","purpose":"access token"}`

export interface PasetoForgery {
  /** The key that signs; its kid is in the footer unless there is a `footer`. */
  readonly jwk: Pick<TokenJwk, 'kid'> & JsonWebKeyInput['key']
  /** Octets, a text, or claims whose times are seconds since 1970. */
  readonly claims: Buffer | string | object
  /** Octets or a text; null omits it. */
  readonly footer?: Buffer | string | null
  readonly implicit?: string
  /** The header that is signed and sent. */
  readonly header?: string
  /** The header that is sent, if another one is signed. */
  readonly sent?: string
}

/** Builds a PASETO. By default it has the form that the issuer writes. */
export function forgePaseto(forgery: PasetoForgery): string {
  const { jwk, claims, footer = `{"kid":"${jwk.kid}"}`, implicit = implicitOf() } = forgery
  const { header = 'v4.public.', sent = header } = forgery
  const message = Buffer.isBuffer(claims)
    ? claims
    : Buffer.from(typeof claims === 'string' ? claims : JSON.stringify(withTexts(claims)))
  const end = footer === null ? Buffer.alloc(0) : Buffer.from(footer)
  const octets = encodePieces(Buffer.from(header), message, end, Buffer.from(implicit))
  const signature = sign(null, octets, createPrivateKey({ key: jwk, format: 'jwk' }))
  return `${sent}${encode(Buffer.concat([message, signature]))}${footer === null ? '' : `.${encode(end)}`}`
}

/** Verifies a PASETO and returns its payload as written. @throws Error if it is not valid. */
export function readPaseto(token: string, jwk: JsonWebKeyInput['key'], implicit = implicitOf()) {
  const [version, purpose, body = '', footer = ''] = token.split('.')
  const [signed, end] = [Buffer.from(body, 'base64url'), Buffer.from(footer, 'base64url')]
  const [message, signature] = [signed.subarray(0, -64), signed.subarray(-64)]
  const octets = encodePieces(Buffer.from(`${version}.${purpose}.`), message, end, Buffer.from(implicit))
  const { kty, crv, x } = jwk
  const key = createPublicKey({ key: { kty, crv, x } as JsonWebKeyInput['key'], format: 'jwk' })
  if (!verify(null, octets, key, signature)) throw new Error('the signature is not valid')
  return { claims: JSON.parse(message.toString()), footer: JSON.parse(end.toString()) }
}

/** Writes iat, nbf and exp as date-times, and nbf as iat. */
function withTexts(claims: object): object {
  const text = (seconds: unknown) =>
    typeof seconds === 'number' ? new Date(seconds * 1000).toISOString().replace('.000', '') : seconds
  const { iat, exp, nbf = iat, ...others } = claims as Record<string, unknown>
  return { ...others, iat: text(iat), nbf: text(nbf), exp: text(exp) }
}
