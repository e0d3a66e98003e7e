// Parses a report of leaked tokens, in the format of GitHub's secret scanning partner program: a JSON array of findings.
// The sender is already authenticated. The locations are untrusted text, and any entry can be malformed.
import { escapeForDisplay } from './escape-for-display.ts'

export interface Leak {
  readonly token: string
  /** The reported location; shortened, and with everything redacted that looks like a token of this server. */
  readonly url: string | undefined
  /** The kind of location, such as `commit`; shortened and redacted in the same way. */
  readonly source: string | undefined
}

/** A malformed entry. Depends only on the form of the entry, never on the state of the server. */
export interface EntryProblem {
  /** Index of the entry in the report, from 0. */
  readonly index: number
  readonly detail: 'not_an_object' | 'token_missing' | 'token_not_a_string' | 'url_not_a_string' | 'source_not_a_string'
}

export interface LeakReport {
  /** Each token once, with its first location. */
  readonly leaks: readonly Leak[]
  readonly problems: readonly EntryProblem[]
}

/**
 * The maximum size of a report, in octets. It also limits the cost of a report: about 1700 opaque tokens, with one store query
 * each, or about 500 signed tokens. The number of entries has no other limit.
 */
export const maximumReport = 131_072

/** The maximum length of a stored location, in characters. */
const maximumPlace = 256

/**
 * Parses a report. Accepts every entry with a token, even if other entries are malformed. Ignores unknown members, and treats
 * null as absent. Returns undefined unless the value is a non-empty array.
 */
export function parseLeakReport(value: unknown): LeakReport | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const leaks = new Map<string, Leak>()
  const problems: EntryProblem[] = []
  value.forEach((entry: unknown, index) => {
    const leak = readEntry(entry, detail => problems.push({ index, detail }))
    if (leak !== undefined && !leaks.has(leak.token)) leaks.set(leak.token, leak)
  })
  return { leaks: [...leaks.values()], problems }
}

function readEntry(value: unknown, problem: (detail: EntryProblem['detail']) => void): Leak | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problem('not_an_object')
    return undefined
  }
  const { token, url, source } = value as Readonly<Record<string, unknown>>
  if (typeof token !== 'string') {
    problem(token === undefined || token === null ? 'token_missing' : 'token_not_a_string')
    return undefined
  }
  if (!isPlace(url)) problem('url_not_a_string')
  if (!isPlace(source)) problem('source_not_a_string')
  return { token, url: describePlace(url), source: describePlace(source) }
}

function isPlace(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string'
}

function describePlace(place: unknown): string | undefined {
  return typeof place === 'string' ? escapeForDisplay(redactTokens(place)).slice(0, maximumPlace) : undefined
}

/** Truncates everything that looks like a token of this server to its first characters. */
export function redactTokens(text: string): string {
  const tokens = /(tlsbound_(?:rt|at)_)\w+|(v\d\.(?:public|local)\.)[\w.%-]+|(eyJ)[\w.%-]+/g
  return text.replace(tokens, (_, opaque = '', paseto = '', jwt = '') => `${opaque}${paseto}${jwt}…`)
}
