// The request of `tlsbound call`: builds method, path, headers and body from options that are those of curl.
import { UsageError, type Values } from './command.ts'
import { readInput } from './input.ts'
import { type Option, readList } from './option.ts'

export interface CallRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string[]>>
  readonly body: Buffer | undefined
}

export const requestOptions: readonly Option[] = [
  { name: 'request', short: 'X', value: 'METHOD', fallback: 'GET, with a body POST', help: 'The method' },
  {
    name: 'header',
    short: 'H',
    value: 'HEADER',
    multiple: true,
    help: 'A header such as "Accept: text/plain"; "Accept:" removes a default one. Can be repeated. Authorization is set by the command',
  },
  {
    name: 'data',
    short: 'd',
    value: 'DATA',
    multiple: true,
    help: 'A form as the body; @FILE reads a file without its line ends, - or @- reads stdin. Several are joined with &',
  },
  { name: 'data-binary', value: 'DATA', multiple: true, help: 'The same; files are sent unchanged' },
  {
    name: 'json',
    value: 'DATA',
    multiple: true,
    help: 'The same, sent as application/json, which is also the accepted type of the response',
  },
]

/** Headers that the command sets itself. */
const reserved: Readonly<Record<string, string>> = {
  authorization: 'this command requests a token and sends it; to send another token, use curl',
  'session-binding-proof': 'this command signs its proofs itself',
  'tls-channel-binding': 'this command signs its requests itself',
  host: 'the token is issued for the server in the address',
}

/** Builds the request. @throws UsageError (rejects) for invalid options, Error for an unreadable file. */
export async function readCallRequest(values: Values): Promise<CallRequest> {
  const [kind, other] = kinds.filter(name => readList(values, name).length > 0)
  if (other !== undefined) throw new UsageError(`--${kind} and --${other} cannot both be the body`)
  const body = kind === undefined ? undefined : await readBody(readList(values, kind), kind)
  const method = String(values.request ?? (body === undefined ? 'GET' : 'POST'))
  if (!isToken(method) || method === 'CONNECT') throw new UsageError('-X must be a method, such as PUT')
  return { method, headers: readHeaders(readList(values, 'header'), kind), body }
}

const kinds = ['data', 'data-binary', 'json'] as const
type Kind = (typeof kinds)[number]

/** Builds the body as curl does: values of -d are joined by & and their files lose line ends; others are unchanged. */
async function readBody(values: readonly string[], kind: Kind): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const value of values) {
    if (kind !== 'json' && parts.length > 0) parts.push(Buffer.from('&'))
    if (!value.startsWith('@') && value !== '-') parts.push(Buffer.from(value))
    else {
      const content = await readInput(value.replace(/^@/, ''))
      parts.push(kind === 'data' ? content.filter(octet => !lineEnds.includes(octet)) : content)
    }
  }
  return Buffer.concat(parts)
}

const lineEnds = [...Buffer.from('\r\n\0')]

/** Builds the headers as curl does: `-H` overrides defaults, `Name:` removes a header, `Name;` sends an empty one. */
function readHeaders(given: readonly string[], kind: Kind | undefined): CallRequest['headers'] {
  const headers: Record<string, string[]> = {}
  for (const text of given) {
    const [, name = '', separator, value = ''] = /^([^:;]+)([:;])[\t ]*(.*)$/s.exec(text) ?? []
    const lower = name.toLowerCase()
    if (!isToken(name) || (separator === ';' && value !== ''))
      throw new UsageError('-H must be a header, such as "Accept: text/plain"')
    if (Object.hasOwn(reserved, lower)) throw new UsageError(`-H ${name}: ${reserved[lower]}`)
    headers[lower] ??= []
    if (value !== '' || separator === ';') headers[lower].push(value)
  }
  const form =
    kind === undefined
      ? {}
      : { 'content-type': kind === 'json' ? 'application/json' : 'application/x-www-form-urlencoded' }
  const defaults = { accept: kind === 'json' ? 'application/json' : '*/*', 'user-agent': 'tlsbound', ...form }
  for (const [name, value] of Object.entries(defaults)) headers[name] ??= [value]
  return headers
}

/** RFC 9110 §5.6.2. */
function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~\w]+$/.test(text)
}
