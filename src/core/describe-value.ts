/** Describes a value of untrusted JSON in a fact: a string as it is, otherwise the type of the value. */
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
