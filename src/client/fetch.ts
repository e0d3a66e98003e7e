// undici's fetch through a client's dispatcher. URLs are relative to its origin; other origins are rejected.
import { type Dispatcher, fetch, Request, type RequestInit, type Response } from 'undici'
import { ClientError } from './errors.ts'

/** Node's fetch, except that it throws a ClientError itself and not as the cause of a TypeError. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export function createFetch(dispatcher: Dispatcher, origin: string): Fetch {
  return async (input, init = {}) => {
    if (typeof input !== 'string' && !(input instanceof URL) && !(input instanceof Request))
      throw new TypeError('fetch accepts a URL, or a Request of undici')
    const target = input instanceof Request ? input : new URL(input, origin)
    if (new URL(target instanceof Request ? target.url : target).origin !== origin)
      throw new ClientError('wrong_origin')
    const body = toBytes(init.body)
    const through = body === undefined ? dispatcher : withBody(dispatcher, body)
    try {
      return await fetch(target, { ...init, dispatcher: through })
    } catch (error) {
      const cause = error instanceof TypeError ? error.cause : undefined
      throw cause instanceof ClientError || cause instanceof TypeError ? cause : error
    }
  }
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
