// A TLS server that sends exactly the octets of a test, with any certificate.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'

type Test = { teardown(end: () => unknown): void }

export const authority = issueCertificate({ subject: [['CN', 'authority of a test']], ca: true })

/** A certificate of this authority for localhost, or another one. */
export function serverIdentity(order: Partial<Parameters<typeof issueCertificate>[0]> = {}): Identity {
  const altNames = [{ dns: 'localhost' }, { ip: '127.0.0.1' }]
  return issueCertificate({ subject: [['CN', 'server']], issuer: authority, altNames, ...order })
}

const usual = serverIdentity()

/** Starts one that ends with the test; returns its port. `speak` gets each connection once data has arrived on it. */
export async function startTlsServer(
  t: Test,
  speak: (socket: TLSSocket) => void,
  { identity = usual, ...options }: TlsOptions & { readonly identity?: Identity } = {},
): Promise<number> {
  const sockets = new Set<TLSSocket>()
  const server = createServer({ cert: identity.certificate, key: identity.key, ...options }, socket => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => speak(socket))
  })
  server.on('tlsClientError', () => {})
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** The same without TLS: `speak` gets each connection immediately. */
export async function startTcpServer(t: Test, speak: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => {
    sockets.add(socket.on('error', () => {}))
    speak(socket)
  })
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** Writes a text repeatedly, octet by octet, for as long as the connection is open. */
export function drip(socket: Socket, text: string, milliseconds = 20): void {
  let at = 0
  const timer = setInterval(() => {
    socket.write(text.charAt(at++ % text.length))
  }, milliseconds)
  socket.once('close', () => clearInterval(timer))
}
