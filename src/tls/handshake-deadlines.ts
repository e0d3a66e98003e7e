// A deadline for each handshake, and the trust that is in force at its start.
import type { Http2SecureServer } from 'node:http2'
import { endsOf } from './ends.ts'
import type { Trust } from './trust.ts'

interface Handshake {
  readonly deadline: NodeJS.Timeout | undefined
  /** The trust at the start of the handshake, with which OpenSSL verifies the certificate. Undefined: the handshake is over. */
  readonly trust: Trust | undefined
}

/**
 * Destroys each connection whose handshake takes longer than `limit` seconds. Returns a function that ends the deadline of a handshake, given by
 * the ends of its connection, and returns its trust: that at its start. It forgets both, because the connection may live for hours.
 */
export function limitHandshakes(
  server: Http2SecureServer,
  limit: number,
  trustInForce: () => Trust,
): (ends: string) => Trust | undefined {
  const handshakes = new Map<string, Handshake>()
  server.on('connection', socket => {
    const ends = endsOf(socket)
    // For the whole handshake: the timeout of Node restarts with every octet.
    const handshake: Handshake = {
      deadline: setTimeout(() => socket.destroy(), limit * 1000),
      trust: trustInForce(),
    }
    handshakes.set(ends, handshake)
    socket.once('close', () => {
      clearTimeout(handshake.deadline)
      if (handshakes.get(ends) === handshake) handshakes.delete(ends)
    })
  })
  return ends => {
    const handshake = handshakes.get(ends)
    if (handshake === undefined) return undefined
    const { trust } = handshake
    clearTimeout(handshake.deadline)
    Object.assign(handshake, { deadline: undefined, trust: undefined })
    handshakes.delete(ends)
    return trust
  }
}
