// What a fact about Node's TLS is, and connections to measure it on.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { makeDemoPki } from '../../src/pki/demo.ts'

export interface Fact {
  readonly about: string
  /** What this Node does when the fact holds. */
  readonly expected: string
  /** Whether the binding of tokens depends on it. Otherwise it is a weakness of Node that the code avoids, which may end. */
  readonly isNeeded: boolean
  /** Returns what this Node does. */
  measure(): Promise<string>
}

export const pki = makeDemoPki()

/** Milliseconds after which a measurement is given up. */
const patience = 10_000

/** Both ends of one connection. The server has sent one octet to the client. */
export interface Ends {
  readonly server: TLSSocket
  readonly client: TLSSocket
  /** The last session that the client has received; undefined: none. */
  readonly session: () => Buffer | undefined
}

export interface Listening {
  readonly server: ReturnType<typeof createServer>
  connect(options?: ConnectionOptions): Promise<Ends>
}

const oldest = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

/** Listens, with certificates of clients evaluated in code as tlsbound does, while `work` runs. */
export async function withServer<T>(options: TlsOptions, work: (listening: Listening) => Promise<T>): Promise<T> {
  const { certificate: cert, key } = pki.server
  const ca = pki.ca.certificate
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false, ...oldest, ...options })
  const open = new Set<TLSSocket>()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  try {
    return await work({
      server,
      async connect(more) {
        const arrived = once(server, 'secureConnection') as Promise<[TLSSocket]>
        const client = connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ...oldest, ...more })
        open.add(client.on('error', () => {}))
        let session: Buffer | undefined
        client.on('session', (given: Buffer) => {
          session = given
        })
        const [accepted] = await atMost(patience, arrived)
        open.add(accepted.on('error', () => {}))
        accepted.write('.')
        await atMost(patience, once(client, 'data'))
        return { server: accepted, client, session: () => session }
      },
    })
  } finally {
    for (const socket of open) socket.destroy()
    server.close()
  }
}

/** The certificate and key of a client. */
export const alice = { cert: pki.alice.certificate, key: pki.alice.key }

/** Rejects when `promise` is not settled after the given milliseconds. */
export async function atMost<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('timed out')), milliseconds)
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer))
}
