// Links a TLS connection to its TCP connection.
import type { Socket } from 'node:net'

/** Identifies a TCP connection by its two ends. Node has no other link from a TLS connection to its TCP connection. */
export function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ')
}
