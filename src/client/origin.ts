// Where a client speaks to: scheme, host and port, and nothing else (RFC 6454 §6.2).

/** Brings an origin into its one form. @throws TypeError for anything but https, or with a path, a user or a query. */
export function readOrigin(origin: string): string {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  if (url?.protocol !== 'https:' || url.href !== `${url.origin}/`)
    throw new TypeError(`the origin must be like https://api.example:8443, not ${origin}`)
  return url.origin
}
