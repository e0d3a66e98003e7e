// The open tunnels of a gateway: how many there may be, and that each ends with its token and with its route.
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AccessToken } from '../core/access-token.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import { whenReady } from '../core/when-ready.ts'
import { type Connection, connectionOf } from '../tls/connection.ts'
import type { TokenCheck } from '../verify/token-check.ts'
import { tooMany, type UpstreamRefusal } from './failures.ts'
import { type Upgrade, upgrade } from './tunnel.ts'
import type { OpenRoute } from './upstream.ts'

/** Open tunnels of one gateway, and milliseconds between two checks of their tokens. */
export const tunnelLimits = { open: 4096, recheck: 1000 }

/** Milliseconds without octets after which the peer of a tunnel is probed. */
const keepAliveDelay = 60_000

/** What the checks of tunnels need of the app. */
export interface TunnelHost {
  readonly check: TokenCheck
  /** Called before an open tunnel is closed because its token is no longer valid. */
  readonly onTunnelEnd: (socket: TLSSocket, reason: Reason, client: Connection | undefined) => void
  /** Called for an unexpected exception. Must not throw. */
  readonly onError: (error: Error) => void
}

interface Tunnel {
  readonly route: OpenRoute
  readonly request: IncomingMessage
  readonly socket: TLSSocket
  /** Undefined on a public route. */
  readonly token: AccessToken | undefined
  readonly end: () => void
  /** Whether a check of its token waits for the issuer. */
  isChecking: boolean
}

export interface Opening extends Pick<Upgrade, 'headers' | 'onFailure'>, Pick<Tunnel, 'route' | 'token'> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** The path for the upstream, with the query. */
  readonly target: string
  /** Answers a refusal of the gateway itself. */
  readonly answer: (refused: UpstreamRefusal) => void
}

export interface Tunnels {
  /** Asks the upstream of a route for a tunnel. */
  open(opening: Opening): void
  /** Ends each tunnel whose token is no longer valid, after `onTunnelEnd`. A check that waits for the issuer delays no other one. */
  recheck(host: TunnelHost): void
  /** Ends the tunnels of all other routes. */
  endUnless(isAllowed: (route: OpenRoute) => boolean): void
  /** The number of those that the upstream has accepted. */
  readonly size: number
}

export function createTunnels(): Tunnels {
  const tunnels = new Set<Tunnel>()
  let opening = 0 // that the upstream has not accepted yet
  return {
    open({ request, reply, route, token, target, headers, answer, onFailure }) {
      if (tunnels.size + opening >= tunnelLimits.open) {
        answer(tooMany('upstream_unavailable', 'tunnels', { limit: tunnelLimits.open }))
        return
      }
      const { pool, timeout } = route
      const socket = request.raw.socket as TLSSocket
      let tunnel: Tunnel | undefined
      opening++
      upgrade(socket, reply.raw, {
        ...{ connect: pool.connect, path: target, timeout, onFailure },
        headers: ['host', pool.host, 'connection', 'Upgrade', 'upgrade', 'websocket', ...headers],
        onSettled: () => void opening--,
        onOpen(end) {
          socket.setKeepAlive(true, keepAliveDelay)
          tunnel = { route, request: request.raw, socket, token, end, isChecking: false }
          tunnels.add(tunnel)
        },
        onEnd: () => void (tunnel !== undefined && tunnels.delete(tunnel)),
      })
    },
    recheck({ check, onTunnelEnd, onError }) {
      for (const tunnel of tunnels) {
        const { request, token, socket, end, isChecking } = tunnel
        if (token === undefined) continue
        tunnel.isChecking = true
        const close = (error: unknown) => {
          if (!tunnels.has(tunnel)) return // ended while an earlier check waited
          if (error instanceof OAuthError) onTunnelEnd(socket, error.reason, connectionOf(request))
          else onError(error as Error)
          end()
        }
        void whenReady(
          () => check.recheck(request, token, !isChecking),
          () => {
            tunnel.isChecking = isChecking
          },
          close,
        )
      }
    },
    endUnless(isAllowed) {
      for (const { route, end } of tunnels) if (!isAllowed(route)) end()
    },
    get size() {
      return tunnels.size
    },
  }
}
