// The header section of a request over HTTP/2 (RFC 9113 §8.2, §8.3.1), as strict as undici is for HTTP/1.1.
import type { OutgoingHttpHeaders } from 'node:http2'
import { type Dispatcher, errors } from 'undici'
import { listHeaders } from '../headers.ts'
import { buildTarget } from '../request/target.ts'

/** Connection-specific fields of HTTP/1.1, which HTTP/2 forbids (§8.2.2). */
const hopByHop: readonly string[] = [
  ...['keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'expect', 'http2-settings'],
]

/**
 * Builds the header section. `length` is the length of the body in octets: 0 without one, undefined when unknown.
 * @throws InvalidArgumentError (of undici) for an invalid request.
 */
export function buildHttp2Headers(
  { path, query, method, headers }: Dispatcher.DispatchOptions,
  authority: string,
  length: number | undefined,
): OutgoingHttpHeaders {
  const target = buildTarget({ path, query })
  if (!target.startsWith('/') || /[^\x21-\xff]/.test(target))
    throw new errors.InvalidArgumentError('invalid request path')
  if (!isToken(method)) throw new errors.InvalidArgumentError('invalid request method')
  const section: Record<string, string | string[]> = {
    __proto__: null as never, // a field may be named constructor
    ':method': method,
    ':path': target,
    ':scheme': 'https',
    ':authority': authority,
  }
  const list = listHeaders(headers)
  for (let index = 0; index < list.length; index += 2) {
    const name = String(list[index]).toLowerCase()
    const value = list[index + 1]
    if (value === undefined || name === 'connection') continue
    const values = [value].flat().map(String)
    const isOfConnection = hopByHop.includes(name) || (name === 'te' && values.join() !== 'trailers')
    if (!isToken(name) || isOfConnection || values.some(text => /[^\t\x20-\x7e\x80-\xff]/.test(text)))
      throw new errors.InvalidArgumentError(`invalid ${name} header`)
    if (name === 'host') section[':authority'] = values[0] as string
    else
      section[name] =
        section[name] === undefined && values.length === 1
          ? (values[0] as string)
          : [section[name] ?? [], values].flat(2)
  }
  if (length !== undefined) setLength(section, method, length)
  return section
}

/** Sets content-length for a body, and where the method implies one (RFC 9110 §8.6). */
function setLength(section: Record<string, string | string[]>, method: string, length: number): void {
  const given = section['content-length']
  if (given !== undefined && Number(given) !== length) throw new errors.RequestContentLengthMismatchError()
  delete section['content-length']
  if (length > 0 || ['POST', 'PUT', 'PATCH'].includes(method)) section['content-length'] = String(length)
}

function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~\w]+$/.test(text)
}
