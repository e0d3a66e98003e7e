// The headers of a request, from the forms that undici accepts to one list.
import type { Dispatcher } from 'undici'
import { trimWhitespace } from '../core/http-signature.ts'

/** Alternating names and values. */
export type HeaderList = (string | string[] | undefined)[]

/** Headers that only this client sets. Another Host would select another server at the same address. */
const reserved: readonly string[] = ['authorization', 'session-binding-proof', 'tls-channel-binding', 'host']

/** Copies headers into a list. */
export function listHeaders(headers: Dispatcher.DispatchOptions['headers']): HeaderList {
  if (headers === undefined || headers === null) return []
  if (Array.isArray(headers)) return [...headers]
  if (Symbol.iterator in headers) return [...headers].flat()
  const list: HeaderList = []
  for (const [name, value] of Object.entries(headers))
    list.push(name, typeof value === 'number' ? String(value) : value)
  return list
}

/** Returns the value of a field, its lines joined (RFC 9110 §5.3); undefined without it. */
export function readField(list: HeaderList, name: string): string | undefined {
  const values: string[] = []
  for (let index = 0; index < list.length; index += 2)
    if (String(list[index]).toLowerCase() === name) values.push(...[list[index + 1] ?? []].flat())
  return values.length === 0 ? undefined : values.join(', ')
}

/** Fields that may occur once in a request (RFC 9110 and its successors). Over HTTP/2, Node rejects repeated ones. */
const singleFields: ReadonlySet<string> = new Set([
  ...['access-control-request-method', 'content-length', 'content-location', 'content-md5', 'content-range'],
  ...['content-type', 'date', 'dnt', 'etag', 'expires', 'from', 'if-modified-since', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'range', 'referer', 'retry-after', 'tk'],
  ...['upgrade-insecure-requests', 'user-agent', 'age', 'access-control-allow-credentials', 'access-control-max-age'],
  'x-content-type-options',
])

/** List fields (RFC 9110 §5.3) that Node does not join. */
const listFields: ReadonlySet<string> = new Set(['content-encoding', 'content-language', 'if-match', 'if-none-match'])

/**
 * Lists the headers of a caller, without a redundant Host.
 * @throws TypeError for a header that this client sets itself, and for a repeated single field.
 */
export function listCallersHeaders(headers: Dispatcher.DispatchOptions['headers'], host: string): HeaderList {
  const list = listHeaders(headers)
  const kept: HeaderList = []
  let places: Map<string, number> | undefined
  for (let index = 0; index < list.length; index += 2) {
    const name = String(list[index])
    const given = list[index + 1]
    // A server does not see white space around a value, and so does not verify a signature over it. Over HTTP/2, it drops the field.
    const value = typeof given === 'string' ? trimWhitespace(given) : given?.map(trimWhitespace)
    const lower = name.toLowerCase()
    if (reserved.includes(lower)) {
      if (lower !== 'host' || value !== host) throw new TypeError(`this client sets the header ${name} itself; omit it`)
    } else if (value === undefined || !(singleFields.has(lower) || listFields.has(lower))) kept.push(name, value)
    else {
      places ??= new Map()
      const place = places.get(lower)
      if (place === undefined) kept.push(name, join(lower, [value].flat()))
      else kept[place] = join(lower, [kept[place] as string, value].flat())
      places.set(lower, place ?? kept.length - 1)
    }
  }
  return kept
}

/** Joins the values of a field. `*` is not a list member (RFC 9110 §13.1.1). */
function join(name: string, values: readonly string[]): string {
  if (values.length > 1 && (singleFields.has(name) || values.some(value => value.trim() === '*')))
    throw new TypeError(
      `the header ${name} may occur once in a request, but was given ${values.length} times; send one`,
    )
  return values.join(', ')
}
