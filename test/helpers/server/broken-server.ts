// A deliberately broken server: the real one over real TLS, with faults at the points where servers have them. The lab must
// find each of these faults. Without faults it is the real server.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { generateTokenKey, type SigningKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'
import { startTestServer, type TestServer } from '../../../src/testing/server.ts'
import { type Connection, connectionOf } from '../../../src/tls/connection.ts'
import { labClients, makePasetoKeys, type PasetoKeys } from '../lab/lab.ts'
import { claimFaults } from './broken/claims.ts'
import { pasetoFaults } from './broken/paseto.ts'
import { proofFaults } from './broken/proofs.ts'
import { requestFaults } from './broken/requests.ts'
import { signatureFaults } from './broken/signatures.ts'
import { signedRequestFaults } from './broken/signed-requests.ts'
import { stateFaults } from './broken/state.ts'
import { tlsFaults } from './broken/tls.ts'

export type Claims = Record<string, unknown>
type Mutable<T> = { -readonly [member in keyof T]: T[member] }

/** The current request, and what a fault can change. */
export interface Asker {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly connection: Mutable<Connection>
  readonly server: BrokenServer
}

/** The faults of a server, each at one or several points. */
export interface Fault {
  /** Called when the server listens. */
  readonly listening?: (server: BrokenServer) => void
  /** Called for a new connection, with its facts. */
  readonly connected?: (connection: Mutable<Connection>, socket: TLSSocket, server: BrokenServer) => void
  /** Called for a new request, which it may change. */
  readonly asked?: (asker: Asker) => void
  /** Called after the signature of a token was verified; it may change the claims before they are checked. */
  readonly read?: (claims: Claims, asker: Asker) => Claims
  /** Called before a token is signed; it may change the claims. */
  readonly issued?: (claims: Claims) => Claims
  /** The store, with some calls replaced. */
  readonly kept?: (store: Store, asker: () => Asker | undefined) => Partial<Store>
}

const faults = {
  ...claimFaults,
  ...requestFaults,
  ...signatureFaults,
  ...pasetoFaults,
  ...proofFaults,
  ...signedRequestFaults,
  ...stateFaults,
  ...tlsFaults,
} satisfies Record<string, Fault>

export type FaultName = keyof typeof faults
export const faultNames = Object.keys(faults) as FaultName[]

export interface BrokenServer extends TestServer {
  /** Its own signing key, for a lab that is given it. */
  readonly signingKey: TokenJwk
  /** Its Ed25519 keys, for the same. */
  readonly pasetoKeys: PasetoKeys
  /** State of a fault, for the whole server. */
  readonly memory: Map<string, unknown>
}

/** Starts a server with these faults, on TLS 1.2 as well. */
export async function startBrokenServer(...names: readonly FaultName[]): Promise<BrokenServer> {
  const chosen: readonly Fault[] = names.map(name => faults[name])
  let asker: Asker | undefined
  const [signingKey, pasetoKeys] = [await generateTokenKey('ES256'), await makePasetoKeys()]
  const plain = await startTestServer({
    env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' },
    clients: labClients,
    signingKeys: [signingKey, ...Object.values(pasetoKeys)],
    store: chosen.reduce(
      (store, { kept }) =>
        withCalls(
          store,
          kept?.(store, () => asker),
        ),
      openSqlite(':memory:'),
    ),
  })
  const own = { signingKey: { value: signingKey }, pasetoKeys: { value: pasetoKeys }, memory: { value: new Map() } }
  const server: BrokenServer = Object.defineProperties(plain, own) as BrokenServer

  const listener = server.app.server as unknown as Http2SecureServer
  listener.on('secureConnection', (socket: TLSSocket) => {
    const connection = connectionOf(socket)
    if (connection !== undefined) for (const { connected } of chosen) connected?.(connection, socket, server)
  })
  listener.prependListener('request', (request, response) => {
    const connection = connectionOf(request.socket)
    if (connection === undefined) return
    asker = { request, response, connection, server } as unknown as Asker
    for (const { asked, read } of chosen) {
      asked?.(asker)
      if (read !== undefined) connection.verified?.clear() // otherwise the token would not be parsed again
    }
  })
  const key = server.keys.find(signingKey.kid, server.clock) as Mutable<SigningKey>
  const { verify, sign } = key
  key.verify = token => {
    const claims = verify(token)
    if (claims === undefined || asker === undefined) return claims
    const by = asker
    return chosen.reduce<Claims>((known, { read }) => read?.(known, by) ?? known, claims)
  }
  key.sign = claims => sign(chosen.reduce<Claims>((known, { issued }) => issued?.(known) ?? known, { ...claims }))
  for (const { listening } of chosen) listening?.(server)
  return server
}

function withCalls(store: Store, calls: Partial<Store> = {}): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const call = calls[name] ?? target[name]
      return typeof call === 'function' ? call.bind(target) : call
    },
  })
}
