// Explains the contents of an access token for people. Decodes the token, but does not verify it.
// RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1.
import { isTime } from '../core/access-token.ts'
import { parseObject } from '../core/compact-jws.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import { isPaseto, pasetoVersion } from '../core/paseto.ts'
import { decodePaseto } from '../core/paseto-claims.ts'

type Members = Readonly<Record<string, unknown>>

export interface DecodedToken {
  readonly header: Members
  readonly claims: Members
}

/** A claim, or a member of `cnf`, with its value as text. */
export interface Explanation {
  readonly name: string
  readonly value: string
  readonly words: string
}

/** The connections on which a token of each level is valid. */
export const levels = {
  connection: 'only on the TLS connection that it was issued on',
  proof: 'on every TLS connection of its certificate, with a proof that the certificate key signs for that connection',
  certificate: 'on every TLS connection of its certificate',
} as const satisfies Record<TokenBinding, string>

const meanings: Readonly<Record<string, string>> = {
  iss: 'the issuer',
  sub: 'the subject of the token',
  aud: 'the resource server that it is for',
  client_id: 'the client that it was issued to',
  scope: 'what it allows',
  jti: 'its id, by which it can be revoked',
  grant: 'the grant that it belongs to; revoking the grant revokes it',
  act: 'the actor that acts for the subject (RFC 8693)',
}

const confirmations: Readonly<Record<string, string>> = {
  'x5t#S256': 'SHA-256 of the certificate that presents it (RFC 8705)',
  'tls-exporter#S256': 'SHA-256 of keying material that only the two ends of its TLS connection have (RFC 9266)',
  'tls-unique#S256': 'SHA-256 of the first Finished message of its TLS connection (RFC 5929)',
  tls_exp: 'the exporter label of the keying material that its proofs sign',
}

/**
 * Decodes a JWT or a PASETO without verifying its signature. The header of a PASETO is its version and the id of its key; its times are
 * seconds since 1970, as in a JWT. Returns undefined for any other text.
 */
export function decodeToken(token: string): DecodedToken | undefined {
  if (isPaseto(token)) {
    const decoded = decodePaseto(token)
    return decoded && { header: { version: pasetoVersion, kid: decoded.kid }, claims: decoded.claims }
  }
  const segments = token.split('.')
  if (segments.length !== 3) return undefined
  const [header, claims] = segments.map(segment => parseObject(Buffer.from(segment, 'base64url').toString()))
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

/** Explains each claim, in the order of the token. `now` is in seconds since 1970. */
export function explainClaims(claims: Members, now: number): Explanation[] {
  return Object.entries(claims).flatMap(([name, value]) => {
    if (name === 'cnf') return explainConfirmation(value)
    if (name === 'iat') return explainTime(name, value, 'issued', now)
    if (name === 'nbf') return explainTime(name, value, 'valid from', now)
    if (name === 'exp') return explainTime(name, value, isTime(value) && value <= now ? 'expired' : 'expires', now)
    return { name: escapeForDisplay(name), value: show(value), words: meaningOf(meanings, name) }
  })
}

/** Describes a time relative to `now`, in whole units: `in 4 minutes`, `10 seconds ago`, `now`. Both are in seconds since 1970. */
export function describeDistance(time: number, now: number): string {
  const distance = time - now
  if (Math.abs(distance) < 1) return 'now'
  const [unit, seconds] = units.find(([, size]) => Math.abs(distance) >= size) ?? (['second', 1] as const)
  return new Intl.RelativeTimeFormat('en').format(Math.trunc(distance / seconds), unit)
}

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

/** The last second that a Date can represent. */
const endOfTime = 8_640_000_000_000

function explainTime(name: string, value: unknown, verb: string, now: number): Explanation {
  if (!isTime(value) || value > endOfTime) return { name, value: show(value), words: 'not a time' }
  const date = new Date(value * 1000).toISOString().replace('.000', '')
  return { name, value: date, words: `${verb} ${describeDistance(value, now)}` }
}

function explainConfirmation(cnf: unknown): Explanation[] {
  const members = typeof cnf === 'object' && cnf !== null ? Object.entries(cnf) : []
  if (members.length === 0)
    return [{ name: 'cnf', value: show(cnf), words: 'not bound to a certificate: any party can present it' }]
  return members.map(([member, value]) => ({
    name: escapeForDisplay(`cnf ${member}`),
    value: show(value),
    words: meaningOf(confirmations, member),
  }))
}

function meaningOf(table: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(table, name) ? (table[name] as string) : 'unknown to tlsbound'
}

function show(value: unknown): string {
  return escapeForDisplay(typeof value === 'string' ? value : JSON.stringify(value))
}
