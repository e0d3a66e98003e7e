// Connections that load balancers forward. Each begins with a PROXY protocol header, which names the client; from then on its
// sockets have the client's address, for every reader of `remoteAddress`: events, log, live page, `request.ip`.
import { isIPv6, type Socket } from 'node:net'
import type { AddressRanges } from '../core/cidr.ts'
import { endsOf } from './ends.ts'
import { type Endpoint, parseProxyHeader } from './proxy-header.ts'

export interface HeaderEnd {
  /** Called with the octets that followed the header at once, if any. */
  readonly onHeader: (rest: Buffer | undefined) => void
  /** Called if there is no header, or an invalid or incomplete one. `octets`: what arrived. */
  readonly onProblem: (problem: 'missing' | 'invalid', octets: Buffer, found?: string) => void
  /** Called if the connection ends before its first octet. */
  readonly onSilence: () => void
}

export interface ProxiedPeers {
  /** Returns whether the peer of a TCP connection must send a header. No other peer may. */
  mustSendHeader(socket: Socket): boolean
  /** Reads the header of a TCP connection. Exactly one function of `end` is called. */
  readHeader(socket: Socket, end: HeaderEnd): void
  /** Gives a TLS connection the address that the header of its TCP connection named. */
  adopt(socket: Socket): void
}

export function createProxiedPeers(balancers: AddressRanges): ProxiedPeers {
  /** The clients of open TCP connections, by the ends of these. */
  const clients = new Map<string, Endpoint>()

  function remember(socket: Socket, client: Endpoint): void {
    const ends = endsOf(socket)
    clients.set(ends, client)
    socket.once('close', () => clients.get(ends) === client && clients.delete(ends))
    assume(socket, client)
  }

  return {
    mustSendHeader: ({ remoteAddress }) => balancers.includes(remoteAddress),
    readHeader(socket, end) {
      let received: Buffer | undefined
      const onClose = () => (received === undefined ? end.onSilence() : end.onProblem('invalid', received, cut))
      const read = () => {
        const more: Buffer | null = socket.read()
        if (more === null) return void socket.destroy() // the connection has ended
        received = received === undefined ? more : Buffer.concat([received, more])
        const finding = parseProxyHeader(received)
        if (finding.kind === 'incomplete') return void socket.once('readable', read)
        socket.off('close', onClose)
        if (finding.kind !== 'complete')
          return end.onProblem(finding.kind, received, finding.kind === 'invalid' ? finding.problem : undefined)
        if (finding.client !== undefined) remember(socket, finding.client)
        end.onHeader(received.length > finding.length ? received.subarray(finding.length) : undefined)
      }
      socket.once('close', onClose).once('readable', read)
    },
    adopt(socket) {
      const client = clients.get(endsOf(socket))
      if (client !== undefined) assume(socket, client)
    },
  }
}

const cut = 'the connection ended within the header'

/** Gives a socket the address of the client. Own properties, because those of Node are getters of the prototype. */
function assume(socket: Socket, { address, port }: Endpoint): void {
  const of = (value: string | number) => ({ value, configurable: true, enumerable: true })
  Object.defineProperties(socket, {
    remoteAddress: of(address),
    remotePort: of(port),
    remoteFamily: of(isIPv6(address) ? 'IPv6' : 'IPv4'),
  })
}
