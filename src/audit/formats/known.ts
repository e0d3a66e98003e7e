// What the forms of others have in common: members are there when something is known for them, and text stays text.

/** An object of the members that are known; undefined when none is, so that nothing stands there empty. */
export function known<T extends object>(members: T): T | undefined {
  return Object.values(members).some(value => value !== undefined) ? members : undefined
}

/** The value as one word of text, whatever a token may have held in its place. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' || value === undefined ? value : JSON.stringify(value)
}

/** `1.3` of `TLSv1.3`. */
export function tlsVersion(protocol: string | null | undefined): string | undefined {
  return protocol?.replace('TLSv', '')
}
