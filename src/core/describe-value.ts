// How a value of foreign JSON stands in the facts of a refusal.

/** A value as a fact: a text as it is, the kind of anything else. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === undefined) return 'absent'
  return Array.isArray(value) && value.every(entry => typeof entry === 'string')
    ? value.join(' ')
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'a list'
        : typeof value
}
