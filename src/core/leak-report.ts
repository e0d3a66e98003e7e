// A report of leaked tokens, in the format of GitHub's secret scanning partner programme: a JSON array of what was found.
// Whoever sends it is known by then; what it says of places is text from anywhere.
import { printable } from './printable.ts'

export interface Leak {
  readonly token: string
  /** Where it was found, as the reporter says; shortened, and without anything that looks like a token of ours. */
  readonly url: string | undefined
  /** What kind of place that is, such as `commit`; likewise. */
  readonly source: string | undefined
}

/** The most that one report may hold, so that each costs the store a bounded number of questions. */
export const maximumLeaks = 100

/** Characters of a place that are kept. */
const maximumPlace = 256

/** Reads a report; members that we do not know are ignored. The answer is undefined when it is not of this form. */
export function readLeakReport(value: unknown): Leak[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > maximumLeaks) return undefined
  return value.every(isEntry)
    ? value.map(({ token, url, source }) => ({ token, url: describePlace(url), source: describePlace(source) }))
    : undefined
}

interface Entry {
  readonly token: string
  readonly type?: string
  readonly url?: string
  readonly source?: string
}

function isEntry(value: unknown): value is Entry {
  const entry = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const places = [entry.type, entry.url, entry.source]
  return typeof entry.token === 'string' && places.every(place => place === undefined || typeof place === 'string')
}

function describePlace(place: string | undefined): string | undefined {
  return place === undefined ? undefined : printable(blotTokens(place)).slice(0, maximumPlace)
}

/** Leaves of each text that looks like a token of ours only how it begins. */
export function blotTokens(text: string): string {
  return text.replace(/(tlsbound_(?:rt|at)_)\w+|(eyJ)[\w.%-]+/g, (_, opaque = '', jwt = '') => `${opaque}${jwt}…`)
}
