// What an issuer publishes about itself, read over TLS: its metadata (RFC 8414 §3), its public keys (RFC 7517 §5).
import { Client, type Dispatcher } from 'undici'
import { connect, type Identity } from '../client/client.ts'
import { readConnectProblem } from '../client/errors.ts'
import { type JsonAnswer, readJson } from '../client/read-json.ts'
import { printable } from '../core/printable.ts'

/** How an issuer is reached: with a client certificate, or as nobody, with these authorities or those that Node brings. */
export type Access =
  | { readonly identity: Identity }
  | { readonly identity?: undefined; readonly ca: string | undefined }

/** Milliseconds. */
const answerTimeout = 10_000

/** Reads the metadata of an issuer. Rejects with one sentence when there is none, or it is another's. */
export async function readMetadata(issuer: string, access: Access): Promise<JsonAnswer['body'] & object> {
  const { origin, pathname } = new URL(issuer)
  const path = `/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`
  const metadata = await readDocument(new URL(path, origin), access)
  // RFC 8414 §3.3: identical, or it could be another's.
  if (metadata.issuer !== issuer)
    throw new Error(
      `the issuer there is not ${issuer}, but ${printable(JSON.stringify(metadata.issuer)).slice(0, 200)}`,
    )
  return metadata
}

/** Reads an address that metadata gives. @throws Error when it is none that a client would go to. */
export function readAddress(metadata: Readonly<Record<string, unknown>>, name: string): URL {
  const address = metadata[name]
  const url = typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw new Error(`the metadata of the issuer has no ${name} that can be used`)
  return url
}

/** Reads a JSON object behind an https address, over a connection of its own. Rejects with one sentence. */
export async function readDocument(url: URL, access: Access): Promise<Readonly<Record<string, unknown>>> {
  const dispatcher = await open(url.origin, access)
  try {
    const { status, body } = await ask(dispatcher, { path: url.pathname + url.search, method: 'GET' })
    if (status !== 200 || body === undefined) throw new Error(`${url.href} answers ${status}, and not what it should`)
    return body
  } finally {
    dispatcher.destroy().catch(() => {})
  }
}

/** Sends one request and reads its JSON. Rejects with ClientError when there is no answer in time. */
export function ask(dispatcher: Dispatcher, request: Dispatcher.RequestOptions): Promise<JsonAnswer> {
  const timeouts = { headersTimeout: answerTimeout, bodyTimeout: answerTimeout }
  return readJson(dispatcher, { ...timeouts, ...request }).catch((cause: unknown) => {
    throw readConnectProblem(cause)
  })
}

async function open(origin: string, access: Access): Promise<Dispatcher> {
  if (access.identity !== undefined) return (await connect(origin, access.identity)).dispatcher
  // Said aloud, so that no environment variable can take it back.
  const connectOptions = { rejectUnauthorized: true, ...(access.ca !== undefined && { ca: access.ca }) }
  return new Client(origin, { connect: connectOptions })
}
