// The headers of a request. undici takes them in several forms; here they become one.
import type { Dispatcher } from 'undici'

/** Names and values in turn. */
export type HeaderList = (string | string[] | undefined)[]

/** Headers that this client writes itself. Another Host would send the request to another server behind the same door. */
const reserved: readonly string[] = ['authorization', 'session-binding-proof', 'host']

/** Brings headers into one form, a new list. */
export function listHeaders(headers: Dispatcher.DispatchOptions['headers']): HeaderList {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return [...headers]
  if (Symbol.iterator in headers) return [...headers].flat()
  return Object.entries(headers).flat() as HeaderList
}

/** Fields that may stand once in a request (RFC 9110 and its successors). Over HTTP/2, Node sends nothing otherwise. */
const singleFields: ReadonlySet<string> = new Set([
  ...['access-control-request-method', 'content-length', 'content-location', 'content-md5', 'content-range'],
  ...['content-type', 'date', 'dnt', 'etag', 'expires', 'from', 'if-modified-since', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'range', 'referer', 'retry-after', 'tk'],
  ...['upgrade-insecure-requests', 'user-agent', 'age', 'access-control-allow-credentials', 'access-control-max-age'],
  'x-content-type-options',
])

/** Fields that hold a list: several are one with commas between (RFC 9110 §5.3), which Node leaves to us. */
const listFields: ReadonlySet<string> = new Set(['content-encoding', 'content-language', 'if-match', 'if-none-match'])

/**
 * Lists the headers of a caller of this client; a Host that says nothing new is left out.
 * @throws TypeError for one that this client writes itself, and for several where one may stand.
 */
export function listCallersHeaders(headers: Dispatcher.DispatchOptions['headers'], host: string): HeaderList {
  const list = listHeaders(headers)
  const kept: HeaderList = []
  const places = new Map<string, number>()
  for (let index = 0; index < list.length; index += 2) {
    const [name, value] = [String(list[index]), list[index + 1]]
    const lower = name.toLowerCase()
    if (reserved.includes(lower)) {
      if (lower !== 'host' || value !== host)
        throw new TypeError(`this client writes the header ${name} itself; leave it out`)
    } else if (value === undefined || !(singleFields.has(lower) || listFields.has(lower))) kept.push(name, value)
    else {
      const place = places.get(lower)
      if (place === undefined) kept.push(name, join(lower, [value].flat()))
      else kept[place] = join(lower, [kept[place] as string, value].flat())
      places.set(lower, place ?? kept.length - 1)
    }
  }
  return kept
}

/** The one value of a field. `*` is no member of a list (RFC 9110 §13.1.1). */
function join(name: string, values: readonly string[]): string {
  if (values.length > 1 && (singleFields.has(name) || values.some(value => value.trim() === '*')))
    throw new TypeError(`the header ${name} may stand once in a request, and came ${values.length} times; send one`)
  return values.join(', ')
}
