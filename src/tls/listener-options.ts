// The options of mutualTls, what it returns, and its limits.
import type { X509Certificate } from 'node:crypto'
import type { Server } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { CertificateProxy } from '../core/certificate-proxy.ts'
import { anyRule, booleanRule, functionRule, type Rule, type Rules } from '../core/check-options.ts'
import { collectRanges } from '../core/cidr.ts'
import type { OAuthError, Reason } from '../core/errors.ts'
import type { PresenterCertificate } from '../core/presenter.ts'
import type { Connection } from './connection.ts'
import type { Counts } from './counts.ts'
import type { FailedHandshake } from './failed-handshakes.ts'
import type { Handler } from './http2-handler.ts'
import { type MinimumVersion, minimumVersionRule, optionalMaterialRules, type TlsMaterial } from './options.ts'
import type { Retired } from './retirement.ts'
import type { Trust } from './trust.ts'

export interface MutualTlsOptions extends TlsMaterial {
  /** Default TLSv1.3. */
  readonly minVersion?: MinimumVersion
  /**
   * Whether to offer h2 in addition to http/1.1. Default true; false if the handler is an app of Express or Connect, which do not
   * support HTTP/2. Behind a wrapper of yours such an app is not detected: set `http2: false`.
   */
  readonly http2?: boolean
  /** Whether to drop a connection without an acceptable certificate after its handshake, instead of sending an error response. */
  readonly dropUnacceptable?: boolean
  /** Seconds after which a connection closes with its next response. Default 3600. */
  readonly maximumAge?: number
  /**
   * Load balancers by address (`10.0.0.5`, `fd00::/8`), whose connections must begin with a PROXY protocol header, version 1 or 2.
   * Its client is then the `remoteAddress` of the socket. No other peer may send a header. Default: none.
   */
  readonly proxyProtocolFrom?: readonly string[]
  /** Returns whether a certificate, given by its `x5t#S256`, is registered (RFC 8705 §2.2). Default: none is registered. */
  readonly isPinned?: (thumbprint: string) => boolean
  /**
   * Returns the id of the registered client that a certificate authenticates. A proxy of `clientCertFrom` with such a certificate is
   * refused: the client could state the certificate of any other one. Default: no client is registered.
   */
  readonly findClient?: (certificate: PresenterCertificate) => string | undefined
  /** Seconds. Default: those of docs/reference/limits.md; tests shorten them. */
  readonly timeouts?: Partial<typeof defaultTimeouts>
  /** Called for each dropped connection. */
  readonly onDrop?: (socket: TLSSocket, refusal: OAuthError) => void
  /**
   * Called before an open connection is closed because its certificate was revoked. With `client`: before a request under way of this
   * client of a proxy is ended, because the client may no longer act.
   */
  readonly onClose?: (socket: TLSSocket, reason: Reason, client?: Connection) => void
  /** Called when an authority or a revocation list expires, with the numbers of connections that end. */
  readonly onEnd?: (retired: Retired) => void
  /** Called for an unexpected exception. The connection of the exception, if any, is destroyed. */
  readonly onError?: (error: Error, socket: TLSSocket | undefined) => void
  /** Called for each failed handshake. */
  readonly onFailedHandshake?: (failed: FailedHandshake) => void
}

/** A `serverFactory` for Fastify. `reload` replaces certificate, key, authorities and lists of all servers that it created. */
export interface MutualTls {
  /**
   * Creates a server. Its type is that of an HTTP/1.1 server, as Fastify and other frameworks expect. Over HTTP/2, the handler
   * receives an `Http2ServerRequest` and an `Http2ServerResponse`. `setHeader` then returns nothing, so that it cannot be chained,
   * and header fields of one connection, such as `connection`, do not exist. Set `http2: false` for a handler that needs HTTP/1.1.
   */
  (handler: Handler): Server
  /**
   * Replaces the material. If the trusted authorities or lists change, open connections end; see docs/reference/limits.md.
   * @throws TypeError that names each wrong or unknown member; Error if the new material is invalid, or no client could be accepted. Nothing is changed then.
   */
  reload(material: TlsMaterial): Retired
  /** All open connections with a completed handshake. */
  readonly connections: ReadonlySet<Connection>
  /** Whether it was created with proxies that state the certificates of their clients, if only an empty list. */
  readonly hasProxies: boolean
  /** Counters of handshakes and accepted requests. */
  readonly counts: Readonly<Counts>
  /** Returns the certificates and lists that are in use. */
  inUse(): InUse
  /**
   * Creates a server in plain HTTP/1.1, for a socket file, whose requests are those of a server of this listener that come from the
   * proxy of `clientCertFrom` with `socket`. Who can open the file must be that proxy. The caller listens and closes.
   */
  createProxyServer(server: Server): Server
  /** Returns whether this listener created a server, and so has the state of all of its connections. */
  hasServer(server: object): boolean
  /**
   * Adds the hooks of an authorization server to an existing listener: which certificates are registered, and what to call when a
   * connection is dropped or closed. Returns a function that removes them.
   */
  attach(hooks: ListenerHooks): () => void
}

/** The options of the same names. */
export type ListenerHooks = Required<Pick<MutualTlsOptions, 'isPinned' | 'findClient' | 'onDrop' | 'onClose'>>

export interface InUse {
  /** The server's certificate, then the intermediate ones. */
  readonly chain: readonly X509Certificate[]
  readonly trust: Trust
  /** The proxies that state the certificates of their clients. */
  readonly proxies: readonly CertificateProxy[]
}

/** The maximum number of concurrent requests on an HTTP/2 connection. */
export const maxConcurrentStreams = 128

/** Seconds. A peer that stays below these limits occupies only a socket. */
export const defaultTimeouts = {
  handshake: 10,
  headers: 10,
  request: 30,
  idle: 60,
  /** After the end of a connection: for the peer to receive what was written, and over HTTP/2 to close its end. */
  linger: 2,
  /** After a change of trust, each connection closes with its next response after a random time within this limit. */
  retirement: 30,
  /** After that time, seconds until the connection closes without a response. */
  retirementGrace: 30,
  /** A connection is closed after this time if a new list revokes its certificate; until then its requests are rejected. */
  revoked: 0.5,
}

/** Node fires a timer at once if its delay is longer. */
const longestSeconds = 2_147_483

const secondsRule: Rule = {
  expected: `a number of seconds from 0 to ${longestSeconds}`,
  isValid: value => typeof value === 'number' && value >= 0 && value <= longestSeconds,
}

const rangesRule: Rule = {
  expected: 'a list of IP addresses and ranges, such as 10.0.0.0/8',
  isValid: value =>
    Array.isArray(value) &&
    value.every(range => typeof range === 'string') &&
    (value.length === 0 || collectRanges(value) !== undefined),
}

export const optionRules: Rules = {
  ...optionalMaterialRules,
  minVersion: minimumVersionRule,
  http2: booleanRule,
  dropUnacceptable: booleanRule,
  maximumAge: secondsRule,
  proxyProtocolFrom: rangesRule,
  timeouts: anyRule, // by timeoutRules
  isPinned: functionRule,
  findClient: functionRule,
  onDrop: functionRule,
  onClose: functionRule,
  onEnd: functionRule,
  onError: functionRule,
  onFailedHandshake: functionRule,
}

export const timeoutRules: Rules = Object.fromEntries(Object.keys(defaultTimeouts).map(name => [name, secondsRule]))
