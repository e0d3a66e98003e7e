// Values that labels may have: closed lists of ours, so that nobody who talks to the server makes a series of their own.
import { reasons } from '../../core/errors.ts'

export const tlsVersions = ['TLSv1.2', 'TLSv1.3'] as const

export const reasonNames = Object.keys(reasons)

/** A value of the list; empty where there is none, `other` where it is something else. */
export function among(values: readonly string[], value: unknown): string {
  if (value === undefined || value === null) return ''
  return values.includes(value as string) ? (value as string) : 'other'
}
