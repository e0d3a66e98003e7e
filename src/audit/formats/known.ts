// Shared by ECS and OCSF: omits members without a value, and converts values to text.

/** Returns the members if any has a value, otherwise undefined, so that no empty object is written. */
export function known<T extends object>(members: T): T | undefined {
  return Object.values(members).some(value => value !== undefined) ? members : undefined
}

/** Returns the value as text, whatever type a token had in its place. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' || value === undefined ? value : JSON.stringify(value)
}

/** Returns `1.3` for `TLSv1.3`. */
export function tlsVersion(protocol: string | null | undefined): string | undefined {
  return protocol?.replace('TLSv', '')
}
