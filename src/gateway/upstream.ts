// The connections to one upstream: a pool for requests, and single ones for tunnels. Every connection is opened here, with
// deadlines; that of an https upstream is verified as all outgoing ones are. No proxy is used, and no redirect followed.
import { connect as connectPlain, type Socket } from 'node:net'
import { type Dispatcher, Pool } from 'undici'
import { guarded } from '../core/guard.ts'
import { connectDeadlines, connectTls } from '../outgoing/connect.ts'
import { explainFailure, OutgoingError } from '../outgoing/failure.ts'
import type { Route } from './routes.ts'

/** PEM texts, for an https upstream. */
export interface UpstreamMaterial {
  /** Default: the authorities of Node. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** A route with the material of its files. */
export interface LoadedRoute extends Route {
  readonly material: UpstreamMaterial
}

export interface Upstream {
  readonly dispatcher: Dispatcher
  /** The Host of its requests. */
  readonly host: string
  /** The number of requests under way, including those that wait for a connection. */
  underWay: number
  /** Opens a connection. @throws OutgoingError (rejects) */
  readonly connect: () => Promise<Socket>
  /** Closes the pool after the requests under way. */
  close(): Promise<void>
}

/** A route whose upstream is open. */
export interface OpenRoute extends LoadedRoute {
  readonly pool: Upstream
}

/** Connections of a pool, and requests that may wait for one or be under way. */
export const upstreamLimits = { connections: 256, requests: 1024 }

export function openUpstream({
  upstream: { text, isTls, at },
  material,
}: Pick<LoadedRoute, 'upstream' | 'material'>): Upstream {
  const origin = 'path' in at ? 'http://localhost' : new URL(text).origin
  const connect = () => (isTls && 'host' in at ? openTls(at, material, text) : openPlain(at, text))
  const pool = new Pool(origin, {
    connections: upstreamLimits.connections,
    pipelining: 1,
    allowH2: false,
    connect(_options, done) {
      const fail = (error: Error) => void done(error, null)
      connect().then(
        socket =>
          guarded(
            () => done(null, socket),
            error => void socket.destroy(error),
          )(),
        guarded(fail, () => {}),
      )
    },
  })
  return { dispatcher: pool, host: new URL(origin).host, underWay: 0, connect, close: () => pool.close() }
}

function openTls(
  { host, port }: { readonly host: string; readonly port: number },
  { ca, cert, key }: UpstreamMaterial,
  address: string,
): Promise<Socket> {
  const own = cert === undefined || key === undefined ? {} : { cert, key }
  return connectTls({ host, port, address, ALPNProtocols: ['http/1.1'], ...(ca !== undefined && { ca }), ...own })
}

function openPlain(at: Route['upstream']['at'], address: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain({ ...at, noDelay: true })
    const late = new OutgoingError('timed_out', address, 'no connection in time; check network, firewall and server')
    const timer = setTimeout(() => socket.destroy(late), connectDeadlines.connect)
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(explainFailure(error, address))
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      resolve(socket)
    })
  })
}
