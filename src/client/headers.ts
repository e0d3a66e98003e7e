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

/**
 * Lists the headers of a caller of this client; a Host that says nothing new is left out.
 * @throws TypeError for one that this client writes itself.
 */
export function listCallersHeaders(headers: Dispatcher.DispatchOptions['headers'], host: string): HeaderList {
  const list = listHeaders(headers)
  const kept: HeaderList = []
  for (let index = 0; index < list.length; index += 2) {
    const [name, value] = [String(list[index]), list[index + 1]]
    if (!reserved.includes(name.toLowerCase())) kept.push(name, value)
    else if (name.toLowerCase() !== 'host' || value !== host)
      throw new TypeError(`this client writes the header ${name} itself; leave it out`)
  }
  return kept
}
