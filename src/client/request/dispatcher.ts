// The core of a client: an undici Dispatcher, so that undici's fetch, request, stream and pipeline all use it.
import { Dispatcher } from 'undici'
import { ClientError } from '../errors.ts'
import { listCallersHeaders } from '../headers.ts'
import { Exchange, type ExchangeParts } from './exchange.ts'

export interface DispatcherParts extends Omit<ExchangeParts, 'host' | 'onEnd'> {
  readonly origin: string
  onRequest(): void
}

/** Creates a dispatcher for one origin. Requests that began before `close` are completed. */
export function createDispatcher({ origin, onRequest, ...parts }: DispatcherParts): Dispatcher {
  const { host } = new URL(origin)
  const exchanges = new Set<Exchange>()
  let closing: Promise<void> | undefined
  let onIdle: () => void = () => {}
  const exchangeParts: ExchangeParts = {
    ...parts,
    host,
    onEnd(exchange) {
      exchanges.delete(exchange)
      if (exchanges.size === 0) onIdle()
    },
  }

  function dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    let exchange: Exchange | undefined
    try {
      if (closing !== undefined) throw new ClientError('closed')
      checkTarget(options, origin)
      const headers = listCallersHeaders(options.headers, host)
      onRequest()
      // undici closes a connection after HEAD in case the server sends a body; the bound token would be lost with it.
      const reset = options.reset ?? (options.method === 'HEAD' ? false : null)
      exchange = new Exchange({ ...options, origin, headers, reset: reset as boolean }, handler, exchangeParts)
      exchanges.add(exchange)
      exchange.begin()
    } catch (error) {
      if (exchange === undefined) handler.onResponseError?.(null as never, error as Error)
      else exchange.fail(error as Error)
    }
    return true
  }

  async function close(): Promise<void> {
    closing ??= new Promise<void>(resolve => {
      onIdle = resolve
      if (exchanges.size === 0) resolve()
    }).then(() => parts.pool.close())
    await closing
  }

  async function destroy(): Promise<void> {
    closing ??= Promise.resolve()
    for (const exchange of exchanges) exchange.caller.abort(new ClientError('closed'))
    parts.pool.destroy()
  }
  return Object.assign(new Dispatcher(), { dispatch, close: withCallback(close), destroy: withCallback(destroy) })
}

/** @throws ClientError `wrong_origin`; TypeError for an unsupported request. */
function checkTarget({ origin, path, method, upgrade }: Dispatcher.DispatchOptions, ours: string): void {
  if (origin !== undefined && origin !== ours && new URL(origin).origin !== ours) throw new ClientError('wrong_origin')
  // An absolute URL as path could address another server or a proxy.
  if (!path.startsWith('/')) throw new TypeError('the path of a request must begin with /')
  if (method === 'CONNECT' || (upgrade ?? false) !== false)
    throw new TypeError('connections of this client cannot be upgraded to other protocols')
}

/** Supports both forms of undici: a callback as last argument, or a promise. */
function withCallback(end: () => Promise<void>): Dispatcher['close'] & Dispatcher['destroy'] {
  return ((...given: unknown[]) => {
    const callback = given.findLast(argument => typeof argument === 'function') as (() => void) | undefined
    if (callback === undefined) return end()
    void end().then(callback)
    return undefined
  }) as Dispatcher['close'] & Dispatcher['destroy']
}
