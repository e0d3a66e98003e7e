// undici's fetch over mutual TLS, for libraries that accept one: all requests of a `Line` use one connection.
import type { TLSSocket } from 'node:tls'
import { buildConnector, Client, fetch } from 'undici'
import type { Identity, TestServer } from '../../../src/testing/server.ts'

export interface Line {
  /** For `customFetch`. */
  // biome-ignore lint/suspicious/noExplicitAny: the libraries' types of fetch are not quite those of undici
  readonly fetch: (url: string, options?: any) => Promise<any>
  /** The connection, after the first request. */
  socket(): TLSSocket
}

/** Connects as an identity, or without one, to the server's port under the name of `origin`. */
export function openLine(
  t: { teardown(end: () => unknown): void },
  server: Pick<TestServer, 'port' | 'pki'>,
  identity: Identity | null,
  { origin = 'https://localhost:8443', allowH2 = false } = {},
): Line {
  const certificate = identity && { cert: identity.certificate, key: identity.key }
  const connector = buildConnector({ ca: server.pki.ca.certificate, ...certificate, allowH2 })
  let socket: TLSSocket | undefined
  const client = new Client(origin, {
    allowH2,
    connect: (options, done) =>
      connector(
        { ...options, hostname: '127.0.0.1', port: String(server.port), servername: 'localhost' },
        (...result) => {
          if (socket !== undefined) throw new Error('a line has one connection')
          socket = result[1] as TLSSocket
          done(...result)
        },
      ),
  })
  t.teardown(() => client.destroy())
  return {
    fetch: (url, options = {}) => fetch(url, { ...options, dispatcher: client }),
    socket: () => socket as TLSSocket,
  }
}
