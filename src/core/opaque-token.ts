// Opaque tokens: random octets with a prefix for secret scanners and a checksum that filters out other text.
// RFC 6749 §10.10 (256 bits cannot be guessed). The server stores only hashes, so a stolen store contains no usable token.
import { hash } from 'node:crypto'

/** `rt`: refresh token, `at`: opaque access token. */
export type OpaqueTokenKind = 'rt' | 'at'

/** 43 digits hold 256 bits, 6 hold 32. */
const form = /^(tlsbound_(rt|at)_[0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

/** Builds `tlsbound_KIND_`, `random` in base62, and a checksum of both. @throws TypeError unless `random` has 32 octets. */
export function buildOpaqueToken(kind: OpaqueTokenKind, random: Buffer): string {
  if (random.length !== 32) throw new TypeError(`buildOpaqueToken: 32 random octets are needed, not ${random.length}`)
  const body = `tlsbound_${kind}_${base62(BigInt(`0x${random.toString('hex')}`), 43)}`
  return body + base62(BigInt(crc32(body)), 6)
}

/** Returns the kind of opaque token, by form and checksum. Does not check whether the token was issued. */
export function isOpaqueToken(text: string): OpaqueTokenKind | undefined {
  const [, body, kind, checksum] = form.exec(text) ?? []
  return body !== undefined && base62(BigInt(crc32(body)), 6) === checksum ? (kind as OpaqueTokenKind) : undefined
}

/** Returns base64url(SHA-256(token)), under which an opaque token is stored. */
export function hashOpaqueToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

function base62(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest /= 62n) text = digits[Number(rest % 62n)] + text
  return text
}

/** The CRC-32 of each octet. */
const crcs = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  return crc
})

/** CRC-32 of ISO 3309, the one of gzip and PNG. */
function crc32(text: string): number {
  let crc = ~0
  for (const octet of Buffer.from(text)) crc = (crc >>> 8) ^ (crcs[(crc ^ octet) & 0xff] as number)
  return ~crc >>> 0
}
