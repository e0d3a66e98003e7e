// The state of a TLS connection: its presenter, or why there is none, and the tokens that were verified on it. Stored on the
// TLSSocket and its requests under a private symbol, so that it has their lifetime.
import type { X509Certificate } from 'node:crypto'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CertificateProxy } from '../core/certificate-proxy.ts'
import { readChannelBindings, readKeyingMaterial } from '../core/channel-binding.ts'
import type { Client } from '../core/client.ts'
import { type ErrorCode, OAuthError } from '../core/errors.ts'
import { type Presenter, type PresenterCertificate, readCertificate } from '../core/presenter.ts'
import { type CertificateRejection, describeCertificate } from './certificate-rejection.ts'
import type { Counts, VersionCounts } from './counts.ts'
import { evaluateCertificate, type TrustInForce } from './evaluate-certificate.ts'
import type { VerifiedTokens } from './verified-tokens.ts'

export interface Connection {
  readonly socket: TLSSocket
  readonly presenter: Presenter | undefined
  /** `x5t#S256` of the presented certificate, accepted or not. */
  readonly thumbprint: string | undefined
  /** Why the certificate is rejected, if so: in the handshake, or by a revocation list that was loaded later. */
  rejection: CertificateRejection | undefined
  /** Returns whether the certificate with this thumbprint is registered, so that it needs no authority. */
  readonly isPinned: (thumbprint: string) => boolean
  /** The counters of the listener for this TLS version. */
  readonly counts: VersionCounts
  /** When the handshake ended, in milliseconds of the monotonic clock. */
  readonly openedAt: number
  /** The time after which the next response closes the connection, in milliseconds of the monotonic clock. */
  endsAfter: number
  /** The number of HTTP/1.1 requests whose response is not complete. */
  underWay: number
  /** The session of an HTTP/2 connection. */
  session: { close(): void } | undefined
  /** The tokens that were verified on this connection. Created on first use. */
  verified: VerifiedTokens | undefined
  /** The hashes of tokens with a verified proof, with the hash of that proof. Created on first use. */
  provenTokens: Map<string, string> | undefined
  /** The ids of single-request proofs and nonces of signatures that were used on this connection, with the time in seconds. Created on first use. */
  usedProofs: Map<string, number> | undefined
  /** The authenticated client. The certificate cannot change during the connection. */
  client: Client | undefined
  /** The host of requests, once it has been compared with the handshake. */
  authority: string | undefined
  /** Whether this is a connection of the proxy that connects by the socket file (proxy-socket.ts), without TLS. */
  readonly isProxySocket?: boolean | undefined
  /** Present if this is the connection of a client of a proxy: `socket` is that of the proxy (forwarding.ts). */
  readonly forwarded?: Forwarded | undefined
}

export interface Forwarded {
  /** The connection of the proxy. */
  readonly by: Connection
  /** How the proxy states the certificate, and what it may do. */
  readonly proxy: StatingProxy
  /** The certificate that the proxy states, accepted or not. */
  readonly x509: X509Certificate | undefined
}

const key = Symbol('tlsbound connection')
type Carrier = { [key]?: Connection }

/** The state of a connection before its first request. */
export const unused = {
  underWay: 0,
  session: undefined,
  verified: undefined,
  provenTokens: undefined,
  usedProofs: undefined,
  client: undefined,
  authority: undefined,
}

/**
 * Reads and stores the state of a connection after its handshake. Called once per connection.
 * `maximumAge`: milliseconds after which the next response closes the connection.
 */
export function rememberConnection(
  socket: TLSSocket,
  trusted: TrustInForce,
  counts: Counts,
  maximumAge = Number.POSITIVE_INFINITY,
): Connection {
  const { certificate, rejection } = evaluateCertificate(socket, trusted)
  const openedAt = performance.now()
  const connection: Connection = {
    socket,
    presenter: certificate && buildPresenter(socket, certificate),
    thumbprint: certificate?.thumbprint ?? rejection?.[2]?.thumbprint?.toString(),
    rejection,
    isPinned: trusted.isPinned,
    counts: counts[socket.getProtocol() === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3'],
    openedAt,
    endsAfter: openedAt + maximumAge,
    ...unused,
  }
  connection.counts.opened++
  ;(socket as Carrier)[key] = connection
  return connection
}

type StatingProxy = Pick<CertificateProxy, 'header' | 'authz'>

/** What a proxy states about the client of a request. */
interface Statement {
  /** Undefined: it is not accepted. */
  readonly certificate?: PresenterCertificate | undefined
  /** Returns why the client may not act, now: a request such as a WebSocket goes on for long. */
  readonly findRejection: () => CertificateRejection | undefined
  readonly proxy: StatingProxy
  readonly x509?: X509Certificate | undefined
  /** As for `Connection`. */
  readonly isPinned?: Connection['isPinned']
}

/** Returns the connection of a client whose certificate a proxy states, on the connection of that proxy. */
export function forwardedConnection(
  by: Connection,
  { certificate, findRejection, proxy, x509, isPinned }: Statement,
): Connection {
  return {
    ...by,
    presenter: certificate && { certificate, bindings: {}, attested: 'proxy' },
    thumbprint: certificate?.thumbprint ?? (x509 && readCertificate(x509).thumbprint),
    get rejection() {
      return findRejection()
    },
    isPinned: isPinned ?? by.isPinned,
    verified: undefined,
    provenTokens: undefined,
    usedProofs: undefined,
    client: undefined,
    forwarded: { by, proxy, x509 },
  }
}

/** Returns the certificate of the client of a connection, accepted or not. */
export function presentedCertificate({
  presenter,
  forwarded,
  isProxySocket,
  socket,
}: Connection): X509Certificate | undefined {
  if (presenter !== undefined) return presenter.certificate.x509
  if (forwarded !== undefined) return forwarded.x509
  return isProxySocket === true ? undefined : socket.getPeerX509Certificate()
}

/** Exports the keying material only when a proof is verified, because most connections never need it. */
function buildPresenter(socket: TLSSocket, certificate: PresenterCertificate): Presenter {
  let ekm: string | undefined
  return {
    certificate,
    bindings: readChannelBindings(socket),
    get ekm() {
      ekm ??= readKeyingMaterial(socket)
      return ekm
    },
  }
}

/** Stores the connection on a request, because an HTTP/2 stream loses its connection when it is reset. */
export function keepConnection(request: object, connection: Connection): void {
  ;(request as Carrier)[key] = connection
}

/** Returns the connection of a request or a socket; undefined if there is none, such as for `inject()`. */
export function connectionOf(carrier: object | null | undefined): Connection | undefined {
  return (carrier as Carrier | null | undefined)?.[key]
}

/**
 * Returns the connection of a request that none is stored on yet. That of an HTTP/2 session is stored on the session, because Node creates a
 * proxy for the socket of each stream.
 */
export function findConnectionOf(request: ConnectionCarrier): Connection | undefined {
  return connectionOf(request.stream?.session) ?? connectionOf(request.socket)
}

/** An HTTP/1.1 or HTTP/2 request, or an upgrade request. */
export interface ConnectionCarrier {
  readonly socket?: object | null
  readonly stream?: { readonly session?: { readonly socket?: object | null } | undefined } | undefined
}

/** Returns the socket of a request; that of an HTTP/2 request is the one of its session. */
export function socketOf({ stream, socket }: ConnectionCarrier): object | null | undefined {
  return stream?.session?.socket ?? socket
}

/** Describes how a request arrived that has no connection of mutualTls. */
export function describeTransport(request: ConnectionCarrier): string {
  const socket = socketOf(request) as Partial<TLSSocket> | null | undefined
  if (socket?.encrypted === true) return 'TLS without mutualTls'
  return socket instanceof Socket ? 'plain HTTP' : 'no socket, as by inject'
}

/**
 * Returns the presenter of a connection, if its certificate is acceptable at `now`, in seconds since 1970. `request`
 * describes how it arrived if there is no connection.
 * @throws OAuthError with `code` and `no_certificate` or `certificate_…`.
 */
export function requirePresenter(
  connection: Connection | undefined,
  now: number,
  code: ErrorCode,
  request: ConnectionCarrier,
): Presenter {
  if (connection === undefined)
    throw new OAuthError(code, 'no_certificate', 'not_mutual_tls', { found: describeTransport(request) })
  const { presenter, rejection } = connection
  if (rejection !== undefined) throw new OAuthError(code, ...rejection)
  if (presenter === undefined) throw new OAuthError(code, 'no_certificate', 'not_sent')
  const { certificate } = presenter
  const { notBefore, notAfter, pinned, thumbprint, x509 } = certificate
  // The registration of a certificate can be removed at any time.
  if (pinned && !connection.isPinned(thumbprint))
    throw new OAuthError(code, 'certificate_untrusted', 'registration_withdrawn', describeCertificate(x509))
  if (now > notAfter || now < notBefore) {
    const found = now > notAfter ? notAfter : notBefore
    const detail = now > notAfter ? 'ended' : 'not_yet_valid'
    throw new OAuthError(code, 'certificate_expired', detail, { ...describeCertificate(x509), found, now })
  }
  return presenter
}

/** Closes the connection of a client whose certificate is refused, unless it is that of a proxy, which other clients share. */
export function endRefused(request: Raw, response: Parameters<typeof endConnection>[1]): void {
  if (connectionOf(request)?.forwarded === undefined) endConnection(request, response)
}

/** Closes a connection with the response to this request; on HTTP/2, with the responses to all pending requests. */
export function endConnection(request: Raw, response: { setHeader(name: string, value: string): unknown }): void {
  if (request.httpVersionMajor === 2) request.stream?.session?.close()
  else response.setHeader('connection', 'close')
}
type Raw = { readonly httpVersionMajor: number; readonly stream?: { readonly session?: { close(): void } | undefined } }
