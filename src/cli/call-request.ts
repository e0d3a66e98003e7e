// The request of `tlsbound call`, with the options of curl: from the arguments to method, path, headers and body.
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
    help: 'The same, sent as application/json, which is also the accepted type of the answer',
  },
]

/** What the client writes itself, or what would lead elsewhere. */
const reserved: Readonly<Record<string, string>> = {
  authorization: 'this command requests a token and sends it; to send another token, use curl',
  'session-binding-proof': 'this command signs its proofs itself',
  host: 'the token is issued for the server in the address',
}

/** Reads what is to be sent. @throws UsageError (rejects) for what makes no request, Error for a file that cannot be read. */
export async function readCallRequest(values: Values): Promise<CallRequest> {
  const [kind, other] = kinds.filter(name => readList(values, name).length > 0)
  if (other !== undefined) throw new UsageError(`--${kind} and --${other} cannot both be the body`)
  const body = kind === undefined ? undefined : await readBody(readList(values, kind), kind)
  const method = String(values.request ?? (body === undefined ? 'GET' : 'POST'))
  if (!isToken(method) || method === 'CONNECT') throw new UsageError('-X takes a method, such as PUT')
  return { method, headers: readHeaders(readList(values, 'header'), kind), body }
}

const kinds = ['data', 'data-binary', 'json'] as const
type Kind = (typeof kinds)[number]

/** As curl: the values of -d are joined by &, their files lose line ends; those of the others are taken as they are. */
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

/** The headers of curl, which those of `-H` go before; `Name:` leaves one out, `Name;` has no value. */
function readHeaders(given: readonly string[], kind: Kind | undefined): CallRequest['headers'] {
  const headers: Record<string, string[]> = {}
  for (const text of given) {
    const [, name = '', separator, value = ''] = /^([^:;]+)([:;])[\t ]*(.*)$/s.exec(text) ?? []
    const lower = name.toLowerCase()
    if (!isToken(name) || (separator === ';' && value !== ''))
      throw new UsageError('-H takes a header, such as "Accept: text/plain"')
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
