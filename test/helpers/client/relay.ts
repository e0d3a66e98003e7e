// A TCP relay before a server, without access to TLS. Its port is known before the server starts, so that the server's issuer
// can be its address. It can cut, refuse and count connections.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Identity } from '../../../src/client/identity.ts'
import { startTestServer, type TestServer, type TestServerOptions } from '../../../src/testing/server.ts'

export interface Relay {
  readonly origin: string
  /** Connections through it so far. */
  readonly count: number
  /** Open connections. */
  readonly standing: number
  /** The target of new connections; undefined: they are refused. */
  target: number | undefined
  /** Cuts all open connections, without a TLS alert. */
  cut(): void
  /** Holds bytes back in both directions until `false`. */
  hold(on: boolean): void
  /** As a NAT does with idle connections: nothing passes through the open ones, and neither end is notified. */
  forget(): void
  close(): Promise<void>
}

type Test = { teardown(end: () => unknown): void }

export async function startRelay(t: Test): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let count = 0
  let target: number | undefined
  let held = false
  const server = createServer(client => {
    client.on('error', () => {})
    if (target === undefined) {
      client.resetAndDestroy()
      return
    }
    count += 1
    const upstream = connect(target, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    for (const [one, other] of [pair, [upstream, client] as const]) {
      one.on('error', () => other.destroy())
      one.on('close', () => {
        pairs.delete(pair)
        other.destroy()
      })
      one.on('data', chunk => {
        if (!other.write(chunk)) one.pause()
      })
      other.on('drain', () => held || one.resume())
      one.on('end', () => other.end())
      one.setNoDelay(true)
      if (held) one.pause()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const relay: Relay = {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    get count() {
      return count
    },
    get standing() {
      return pairs.size
    },
    get target() {
      return target
    },
    set target(port) {
      target = port
    },
    cut() {
      for (const [client, upstream] of pairs) {
        client.resetAndDestroy()
        upstream.destroy()
      }
    },
    hold(on) {
      held = on
      for (const sockets of pairs) for (const socket of sockets) on ? socket.pause() : socket.resume()
    },
    forget() {
      for (const sockets of pairs) for (const socket of sockets) socket.pause()
    },
    close: () =>
      new Promise(resolve => {
        relay.cut()
        server.close(() => resolve())
      }),
  }
  t.teardown(() => relay.close())
  return relay
}

export interface ServerBehindRelay {
  readonly server: TestServer
  readonly relay: Relay
  /** Its address, which is the issuer too. */
  readonly origin: string
  /** alice, as an option of `createClient`. */
  readonly identity: Identity
}

/** Starts a test server behind a relay, whose address is its issuer. */
export async function startServerBehindRelay(t: Test, options: TestServerOptions = {}): Promise<ServerBehindRelay> {
  const relay = await startRelay(t)
  const server = await startTestServer({ ...options, env: { TLSBOUND_ISSUER: relay.origin, ...options.env } })
  t.teardown(() => server.close())
  relay.target = server.port
  const { alice, ca } = server.pki
  return {
    server,
    relay,
    origin: relay.origin,
    identity: { certificate: alice.certificate, key: alice.key, ca: ca.certificate },
  }
}
