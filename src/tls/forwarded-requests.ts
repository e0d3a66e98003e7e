// Requests under way of the clients of a proxy that ends TLS. Their connection is that of the proxy, which goes on for other clients, so
// that a client that may no longer act loses its requests instead: long downloads, and event streams.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { OAuthError, type Reason } from '../core/errors.ts'
import { whenReady } from '../core/when-ready.ts'
import type { Connection } from './connection.ts'

/** Milliseconds between two checks of the requests under way. */
export const recheckInterval = 1000

/** Verifies again what can have changed since a token was verified. `mayWait`: it may ask the issuer. @throws OAuthError (or rejects) */
type Recheck = (mayWait: boolean) => void | Promise<void>

const rechecks = new WeakMap<object, Recheck>()

/** Stores how the token of a request of a client of a proxy is verified again. */
export function keepRecheck(request: object, recheck: Recheck): void {
  rechecks.set(request, recheck)
}

export interface ForwardedRequestsOptions {
  /** Called before a request is ended. */
  readonly onEnd: (connection: Connection, reason: Reason) => void
  /** Called for an unexpected exception, which ends the request too. Must not throw. */
  readonly onError: (error: Error) => void
}

/** Adds a request with the connection of its client, until its response is complete. */
export type TrackForwarded = (connection: Connection, request: IncomingMessage, response: ServerResponse) => void

interface Forwarded {
  readonly connection: Connection
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** Creates what ends requests under way whose client may no longer act. It has a timer only while there are any. */
export function trackForwardedRequests({ onEnd, onError }: ForwardedRequestsOptions): TrackForwarded {
  const underWay = new Set<Forwarded>()
  /** Those whose check waits, for example for an answer of the issuer. */
  const waiting = new Set<Forwarded>()
  let timer: NodeJS.Timeout | undefined

  function check(forwarded: Forwarded): void {
    const mayWait = !waiting.has(forwarded) // otherwise what is known at once is verified meanwhile
    waiting.add(forwarded)
    const { connection, request, response } = forwarded
    const end = (error: unknown) => {
      if (mayWait) waiting.delete(forwarded)
      if (!underWay.has(forwarded)) return
      if (!(error instanceof OAuthError)) onError(error as Error)
      else if (mayGoOn(error)) return
      else onEnd(connection, error.reason)
      underWay.delete(forwarded)
      response.destroy()
    }
    void whenReady(
      () => {
        const { rejection } = connection
        if (rejection !== undefined) throw new OAuthError('invalid_token', ...rejection)
        return rechecks.get(request)?.(mayWait)
      },
      () => void (mayWait && waiting.delete(forwarded)),
      end,
    )
  }

  function checkAll(): void {
    for (const forwarded of underWay) check(forwarded)
    if (underWay.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return (connection, request, response) => {
    const forwarded = { connection, request, response }
    underWay.add(forwarded)
    response.once('close', () => underWay.delete(forwarded))
    timer ??= setInterval(checkAll, recheckInterval).unref()
  }
}

/** A request that was accepted may take longer than its token or certificate is valid, and than the state is unknown. */
function mayGoOn({ code, reason }: OAuthError): boolean {
  return code === 'temporarily_unavailable' || reason === 'expired' || reason === 'certificate_expired'
}
