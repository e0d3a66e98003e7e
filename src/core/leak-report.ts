// A report of leaked tokens, in the format of GitHub's secret scanning partner programme: a JSON array of what was found.
// Its sender is known by then. What it says of places is text from anywhere, and any of its entries can be malformed.
import { escapeForDisplay } from './escape-for-display.ts'

export interface Leak {
  readonly token: string
  /** Where it was found, as the reporter says; shortened, and without anything that looks like a token of this server. */
  readonly url: string | undefined
  /** What kind of place that is, such as `commit`; likewise. */
  readonly source: string | undefined
}

/** What of an entry was not understood. It depends on the form of the entry alone, never on what the server knows. */
export interface EntryProblem {
  /** Of the entry in the report, from 0. */
  readonly index: number
  readonly detail: 'not_an_object' | 'token_missing' | 'token_not_a_string' | 'url_not_a_string' | 'source_not_a_string'
}

export interface LeakReport {
  /** Each token once, with the place that is named first. */
  readonly leaks: readonly Leak[]
  readonly problems: readonly EntryProblem[]
}

/**
 * Octets of a report that a server accepts. With each token looked at once, one after the other, this bounds what a report
 * costs: of the shortest opaque tokens it has room for about 1700, which are as many questions to the store; of signed ones for
 * about 500. The number of entries has no other bound.
 */
export const maximumReport = 131_072

/** Characters of a place that are kept. */
const maximumPlace = 256

/**
 * Reads a report. Every entry with a token counts, whatever the others are; unknown members are ignored, and null is as good
 * as absent. Returns undefined for what is not an array with an entry.
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

/** Leaves of each text that looks like a token of ours only how it begins. */
export function redactTokens(text: string): string {
  return text.replace(/(tlsbound_(?:rt|at)_)\w+|(eyJ)[\w.%-]+/g, (_, opaque = '', jwt = '') => `${opaque}${jwt}…`)
}
