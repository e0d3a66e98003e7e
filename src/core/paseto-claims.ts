// The claims in the payload of a PASETO, and the same claims as everywhere else in this project: times are texts there (PASETO
// specification: Registered Claims) and seconds here. Everything that checks claims sees one form.
import { parseCalendarTime } from './calendar-time.ts'
import { parseObject } from './compact-jws.ts'
import { maximumDepth } from './json-depth.ts'
import { isPaseto, parsePaseto } from './paseto.ts'

/** The claims that are date-times of RFC 3339 in a PASETO. */
const times = ['iat', 'nbf', 'exp'] as const

/** RFC 3339 §5.6, with T and Z as capitals, as the PASETO specification demands. */
const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** Builds the payload. `nbf` is added since validators of other PASETO libraries require it beside `iat` and `exp`. */
export function buildPasetoPayload(claims: { readonly iat: number; readonly exp: number }): Buffer {
  const { iat, exp, ...others } = claims
  const issued = formatTime(iat)
  return Buffer.from(JSON.stringify({ ...others, iat: issued, nbf: issued, exp: formatTime(exp) }))
}

/**
 * Parses the payload of a PASETO. Returns undefined unless it is a JSON object in UTF-8 with unique member names, nested at most 100
 * deep. A time of another form stays as a text, so that checkClaims rejects it.
 */
export function parsePasetoPayload(payload: Buffer): Record<string, unknown> | undefined {
  let text: string
  try {
    text = utf8.decode(payload)
  } catch {
    return undefined
  }
  const claims = parseObject(text)
  if (claims === undefined || countNames(text) !== countMembers(claims)) return undefined
  for (const name of times) if (Object.hasOwn(claims, name)) claims[name] = parseTime(claims[name])
  return claims
}

/** Returns the claims of a token that is not verified, with times in seconds since 1970; undefined if it is not a PASETO. */
export function decodePaseto(
  token: string,
): { readonly kid: string; readonly claims: Record<string, unknown> } | undefined {
  if (!isPaseto(token)) return undefined
  try {
    const { kid, message } = parsePaseto(token, 65_536)
    const claims = parsePasetoPayload(message)
    return claims && { kid, claims }
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}

/** Returns seconds since 1970. A value of another form is returned as a text, because a number would count as a time. */
function parseTime(value: unknown): unknown {
  if (typeof value !== 'string') return typeof value === 'number' ? String(value) : value
  const exists = dateTime.test(value) && parseCalendarTime(value.slice(0, '2027-01-15T08:00:00'.length)) !== undefined
  const milliseconds = exists ? Date.parse(value) : Number.NaN // it refuses an offset of 24:00 or more
  return Number.isNaN(milliseconds) ? value : milliseconds / 1000
}

/**
 * Counts the member names of a JSON text. JSON.parse retains the last of two equal names without a word, so a text that has one twice
 * has more names than its value has members.
 */
function countNames(json: string): number {
  let count = 0
  let inString = false
  for (let at = 0; at < json.length; at++) {
    const character = json[at]
    if (inString && character === '\\') at++
    else if (character === '"') inString = !inString
    else if (!inString && character === ':') count++ // a colon outside of texts follows a name
  }
  return count
}

function countMembers(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null || depth > maximumDepth) return 0
  const entries = Object.values(value)
  const own = Array.isArray(value) ? 0 : entries.length
  return entries.reduce((sum: number, entry) => sum + countMembers(entry, depth + 1), own)
}
