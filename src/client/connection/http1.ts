// HTTP/1.1 over one TLS connection: an undici Client whose connector works once. undici would silently open a second
// connection and send the old token over it; here that attempt fails, and so do the unwritten requests.
import type { TLSSocket } from 'node:tls'
import { Client, type Dispatcher } from 'undici'
import { guarded } from '../../core/guard.ts'
import { endedError, type Transport } from './transport.ts'

/** Creates a transport for one request at a time. @throws Error (rejects) when the connection has ended already. */
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
      // undici ignores a synchronous call of `done`.
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
 * Makes the client adopt its connection now. It does so only with a request to send, so this one is cancelled before it
 * is written. From then on the client notices when the server ends the connection.
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
