// The origin of a client: scheme, host and port (RFC 6454 §6.2).
import { parseHttpsUrl } from '../core/https-url.ts'

/** Normalizes an origin. @throws TypeError unless it is https without path, user and query. */
export function readOrigin(origin: string): string {
  const url = parseHttpsUrl(origin)
  if (url?.href !== `${url?.origin}/`)
    throw new TypeError(`invalid origin ${origin}; expected a form such as https://api.example:8443`)
  return url.origin
}
