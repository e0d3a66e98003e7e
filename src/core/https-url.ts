// https URLs in settings, files and documents of other servers.

/** Parses an https URL. Returns undefined for any other value, and for a URL with user information, which may be a secret. */
export function parseHttpsUrl(value: unknown): URL | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return undefined
  const url = new URL(value)
  return url.protocol === 'https:' && url.username === '' && url.password === '' ? url : undefined
}

/** Returns whether a value identifies an issuer, a resource or a document: an https URL without user information and fragment. */
export function isHttpsUrl(value: unknown): value is string {
  return parseHttpsUrl(value) !== undefined && /^https:\/\/[^#]+$/.test(value as string)
}
