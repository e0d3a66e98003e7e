// undici's fetch through a client's dispatcher. URLs are relative to its origin; other origins are rejected.
import { type Dispatcher, fetch, Request, type RequestInit, type Response } from 'undici'
import { ClientError } from './errors.ts'

/**
 * Node's fetch, except that it throws a ClientError itself and not as the cause of a TypeError. It fits where the global `fetch` is
 * expected: a Request may be that of undici or the global one.
 */
export type Fetch = (
  input: string | URL | Request | globalThis.Request,
  init?: RequestInit | globalThis.RequestInit,
) => Promise<Response & globalThis.Response>

export function createFetch(dispatcher: Dispatcher, origin: string): Fetch {
  return async (given, options = {}) => {
    if (typeof given !== 'string' && !(given instanceof URL) && !(given instanceof Request) && !isGlobal(given))
      throw new TypeError('fetch accepts a URL or a Request')
    const init = options as RequestInit
    const input = isGlobal(given) ? convert(given) : (given as string | URL | Request)
    const target = input instanceof Request ? input : new URL(input, origin)
    if (new URL(target instanceof Request ? target.url : target).origin !== origin)
      throw new ClientError('wrong_origin')
    const body = toBytes(init.body)
    const through = body === undefined ? dispatcher : withBody(dispatcher, body)
    try {
      return (await fetch(target, { ...init, dispatcher: through })) as Awaited<ReturnType<Fetch>>
    } catch (error) {
      const cause = error instanceof TypeError ? error.cause : undefined
      throw cause instanceof ClientError || cause instanceof TypeError ? cause : error
    }
  }
}

/** Node's own Request is of another copy of undici. */
function isGlobal(input: unknown): input is globalThis.Request {
  return input instanceof globalThis.Request
}

function convert(input: globalThis.Request): Request {
  const { url, method, headers, body, redirect, signal, integrity, keepalive } = input
  const init = { method, headers: [...headers], redirect, signal, integrity, keepalive }
  return new Request(url, (body === null ? init : { ...init, body, duplex: 'half' }) as RequestInit)
}

/** Passes on the original body: fetch converts every body to a stream, which cannot be sent twice. */
function withBody(dispatcher: Dispatcher, body: Uint8Array): Dispatcher {
  return dispatcher.compose(
    dispatch => (options, handler) => dispatch(options.body === null ? options : { ...options, body }, handler),
  )
}

function toBytes(body: RequestInit['body']): Uint8Array | undefined {
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof URLSearchParams) return Buffer.from(body.toString())
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength)
  return undefined
}
