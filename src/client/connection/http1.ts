// HTTP/1.1 over one TLS connection: an undici Client whose connector works once. Asked for a second connection, which a
// Client would open without a word and send the old token over, it fails, and what has not been written fails with it.
import type { TLSSocket } from 'node:tls'
import { Client, type Dispatcher } from 'undici'
import { guarded } from '../../core/guard.ts'
import { endedError, type Transport } from './transport.ts'

/** Carries requests over a connection, one at a time. @throws Error (rejects) when the connection is gone already. */
export async function openHttp1(origin: string, socket: TLSSocket): Promise<Transport> {
  let used = false
  let open = true
  let end: (cause: Error | undefined) => void
  const closed = new Promise<Error | undefined>(resolve => {
    end = resolve
  })
  const client = new Client(origin, {
    pipelining: 1,
    allowH2: false,
    connect(_options, done) {
      const answer = used ? ([endedError(), null] as const) : ([null, socket] as const)
      used = true
      // An answer on the spot goes unnoticed.
      queueMicrotask(
        guarded(
          () => done(...answer),
          error => socket.destroy(error),
        ),
      )
    },
  })
  const onDisconnect = (_origin: unknown, _targets: unknown, cause: Error) => {
    open = false
    end(client.closed || client.destroyed ? undefined : cause)
  }
  client.once(
    'disconnect',
    guarded(onDisconnect, error => socket.destroy(error)),
  )
  await attach(client)
  return {
    dispatcher: client,
    capacity: 1,
    get open() {
      return open && !client.closed && !client.destroyed
    },
    closed,
  }
}

/**
 * Lets the client take its connection now: it does so when there is something to send, and this is taken back before
 * anything of it is written. From then on it sees what the server does, such as ending the connection.
 */
function attach(client: Dispatcher): Promise<void> {
  const nothing = new Error('nothing to send')
  return new Promise((resolve, reject) => {
    client.dispatch(
      { path: '/', method: 'GET' },
      {
        onRequestStart() {
          throw nothing
        },
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd() {},
        onResponseError: (_controller, error) => (error === nothing ? resolve() : reject(error)),
      },
    )
  })
}
