// What an access token says, in words for people. It decodes and explains, and verifies nothing.
// RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800 §3.1.
import { isTime } from '../core/access-token.ts'
import { parseObject } from '../core/compact-jws.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { escapeForDisplay } from '../core/escape-for-display.ts'

type Members = Readonly<Record<string, unknown>>

export interface DecodedToken {
  readonly header: Members
  readonly claims: Members
}

/** A claim, or a member of `cnf`; its value as text. */
export interface Explanation {
  readonly name: string
  readonly value: string
  readonly words: string
}

/** Where a token of each level may be used. */
export const levels = {
  connection: 'on the TLS connection that it was issued on, and on no other',
  proof: 'on every TLS connection of its certificate, with a proof signed there by the key of the certificate',
  certificate: 'on every TLS connection of its certificate',
} as const satisfies Record<TokenBinding, string>

const meanings: Readonly<Record<string, string>> = {
  iss: 'who issued it',
  sub: 'for whom it speaks',
  aud: 'the resource server that it is for',
  client_id: 'the client that it was issued to',
  scope: 'what it allows',
  jti: 'its id, by which it can be revoked',
  grant: 'the grant that it belongs to, and ends with',
  act: 'who acts for whom it speaks (RFC 8693)',
}

const confirmations: Readonly<Record<string, string>> = {
  'x5t#S256': 'SHA-256 of the certificate that presents it (RFC 8705)',
  'tls-exporter#S256': 'SHA-256 of what only the two ends of its TLS connection know (RFC 9266)',
  'tls-unique#S256': 'SHA-256 of the first Finished message of its TLS connection (RFC 5929)',
  tls_exp: 'the label under which both ends export what its proofs are made over',
}

/** Decodes a JWT, without a look at its signature; undefined for what is none. */
export function decodeToken(token: string): DecodedToken | undefined {
  const segments = token.split('.')
  if (segments.length !== 3) return undefined
  const [header, claims] = segments.map(segment => parseObject(Buffer.from(segment, 'base64url').toString()))
  return header === undefined || claims === undefined ? undefined : { header, claims }
}

/** Explains each claim, in the order of the token. `now` in seconds since 1970. */
export function explainClaims(claims: Members, now: number): Explanation[] {
  return Object.entries(claims).flatMap(([name, value]) => {
    if (name === 'cnf') return explainConfirmation(value)
    if (name === 'iat') return explainTime(name, value, 'issued', now)
    if (name === 'nbf') return explainTime(name, value, 'valid from', now)
    if (name === 'exp') return explainTime(name, value, isTime(value) && value <= now ? 'expired' : 'expires', now)
    return { name: escapeForDisplay(name), value: show(value), words: meaningOf(meanings, name) }
  })
}

/** How far away a time is, in whole units: `in 4 minutes`, `10 seconds ago`, `now`. Both in seconds since 1970. */
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

/** The last second that a Date can hold. */
const endOfTime = 8_640_000_000_000

function explainTime(name: string, value: unknown, verb: string, now: number): Explanation {
  if (!isTime(value) || value > endOfTime) return { name, value: show(value), words: 'not a time' }
  const date = new Date(value * 1000).toISOString().replace('.000', '')
  return { name, value: date, words: `${verb} ${describeDistance(value, now)}` }
}

function explainConfirmation(cnf: unknown): Explanation[] {
  const members = typeof cnf === 'object' && cnf !== null ? Object.entries(cnf) : []
  if (members.length === 0) return [{ name: 'cnf', value: show(cnf), words: 'names nobody who may present it' }]
  return members.map(([member, value]) => ({
    name: escapeForDisplay(`cnf ${member}`),
    value: show(value),
    words: meaningOf(confirmations, member),
  }))
}

function meaningOf(table: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(table, name) ? (table[name] as string) : 'nothing that tlsbound knows'
}

function show(value: unknown): string {
  return escapeForDisplay(typeof value === 'string' ? value : JSON.stringify(value))
}
