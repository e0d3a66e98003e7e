// The path of a request, in the one form that a route is selected by. A path that gateway and upstream could read differently
// is refused: a slash or a dot segment that only one of them decodes, or an empty segment that only one of them removes.
import { malformed } from '../core/errors.ts'

/** Segments of characters that need no encoding, none of them a dot segment. `;` is missing: some servers cut a segment there. */
const plainPath = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()*+,=:@-]+)*\/?$/

/** Returns the path without percent-encoding and without a slash at its end. @throws OAuthError `malformed_request`. */
export function normalizePath(path: string): string {
  const decoded = plainPath.test(path) ? path : decodePath(path)
  return decoded.endsWith('/') ? decoded.slice(0, -1) : decoded
}

function decodePath(path: string): string {
  if (path.includes('//')) throw ambiguous('an empty segment')
  if (/[^\w.~!$&'()*+,=:@%/-]/.test(path)) throw ambiguous('a character that must be percent-encoded, or a semicolon')
  if (/%(?:2f|5c)/i.test(path)) throw ambiguous('an encoded slash or backslash')
  const decoded = decode(path)
  if (/[\p{Cc};]/u.test(decoded)) throw ambiguous('an encoded control character or semicolon')
  if (/%[0-9a-f]{2}/i.test(decoded)) throw ambiguous('a percent-encoding that is encoded again')
  if (/\/\.{1,2}(?:\/|$)/.test(decoded)) throw ambiguous('a dot segment')
  return decoded
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw ambiguous('a percent sign that begins no code of UTF-8')
  }
}

/** Builds the refusal of a path. */
export function ambiguous(found: string) {
  return malformed('path_ambiguous', { found })
}
