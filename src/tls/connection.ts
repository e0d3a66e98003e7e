// What we remember of a TLS connection: its presenter, or why there is none, and the tokens verified on it.
// It hangs on the TLSSocket, and on each request that came there, under a private symbol, and dies with them.
import type { TLSSocket } from 'node:tls'
import type { AccessToken } from '../core/access-token.ts'
import { readChannelBindings, readKeyingMaterial } from '../core/channel-binding.ts'
import type { Client } from '../core/client.ts'
import { type ErrorCode, OAuthError } from '../core/errors.ts'
import type { Presenter, PresenterCertificate } from '../core/presenter.ts'
import { type CertificateRejection, describeCertificate } from './certificate-rejection.ts'
import type { Counts, VersionCounts } from './counts.ts'
import { evaluateCertificate, type TrustInForce } from './evaluate-certificate.ts'

export interface Connection {
  readonly socket: TLSSocket
  readonly presenter: Presenter | undefined
  /** `x5t#S256` of the certificate that was presented, whether or not it is accepted. */
  readonly thumbprint: string | undefined
  /** Why the presenter may not act, if so: since the handshake, or since a list that was loaded names its certificate. */
  rejection: CertificateRejection | undefined
  /** Whether the certificate of this thumbprint is registered itself, so that no authority needs to vouch for it. */
  readonly isPinned: (thumbprint: string) => boolean
  /** Where its listener counts what happens on connections of this TLS version. */
  readonly counts: VersionCounts
  /** When the handshake ended, in milliseconds of the monotonic clock. */
  readonly openedAt: number
  /** From when on the connection ends with its next answer, in milliseconds of the monotonic clock. */
  endsAfter: number
  /** How many requests over HTTP/1.1 wait for the end of their answer. */
  underWay: number
  /** The session, once it is known that the connection speaks HTTP/2. */
  session: { close(): void } | undefined
  /** The tokens that were verified here, by the Authorization header that brings them; made when there is one. */
  verified: Map<string, VerifiedToken> | undefined
  /** The hashes of tokens whose proof was verified here, with the hash of that proof; made when there is one. */
  provenTokens: Map<string, string> | undefined
  /** The ids of the proofs that were used here for one request alone, with when in seconds; made when there is one. */
  usedProofs: Map<string, number> | undefined
  /** The client that was authenticated here; its certificate cannot change while the connection lives. */
  client: Client | undefined
  /** The host that requests name here, once it was found to be the one of the handshake. */
  authority: string | undefined
}

export interface VerifiedToken {
  readonly token: AccessToken
  /** The generation of the keys that it was verified with. */
  readonly generation: number
  /** The proof that goes with it here, once one was verified that serves more than one request. */
  proof: string | undefined
}

const key = Symbol('tlsbound connection')
type Carrier = { [key]?: Connection }

/**
 * Reads and keeps what is to be known of a connection whose handshake has just ended. Called once for each.
 * `maximumAge`: milliseconds after which it ends with its next answer.
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
    underWay: 0,
    session: undefined,
    verified: undefined,
    provenTokens: undefined,
    usedProofs: undefined,
    client: undefined,
    authority: undefined,
  }
  connection.counts.opened++
  ;(socket as Carrier)[key] = connection
  return connection
}

/** What proofs are made over is read when there is one to verify: most connections never need it. */
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

/** Keeps with a request what it came on: a stream of HTTP/2 that is reset knows its connection no longer. */
export function keepConnection(request: object, connection: Connection): void {
  ;(request as Carrier)[key] = connection
}

/** The connection of a request or a socket; undefined for one that is none of ours, such as a request of `inject()`. */
export function connectionOf(carrier: object | null | undefined): Connection | undefined {
  return (carrier as Carrier | null | undefined)?.[key]
}

/**
 * The presenter of a connection, if it may act at `now` (seconds since 1970).
 * @throws OAuthError with `code` and `no_certificate` or `certificate_…`.
 */
export function requirePresenter(connection: Connection | undefined, now: number, code: ErrorCode): Presenter {
  if (connection === undefined) throw new OAuthError(code, 'no_certificate', 'not_mutual_tls')
  const { presenter, rejection } = connection
  if (rejection !== undefined) throw new OAuthError(code, ...rejection)
  if (presenter === undefined) throw new OAuthError(code, 'no_certificate', 'not_sent')
  const { certificate } = presenter
  const { notBefore, notAfter, pinned, thumbprint, x509 } = certificate
  // One that is registered itself can be taken back at any time.
  if (pinned && !connection.isPinned(thumbprint))
    throw new OAuthError(code, 'certificate_untrusted', 'registration_withdrawn', describeCertificate(x509))
  if (now > notAfter || now < notBefore) {
    const found = now > notAfter ? notAfter : notBefore
    const detail = now > notAfter ? 'ended' : 'not_yet_valid'
    throw new OAuthError(code, 'certificate_expired', detail, { ...describeCertificate(x509), found, time: now })
  }
  return presenter
}

/** Lets a connection end with the answer to this request; on HTTP/2 with the answers to those under way. */
export function endConnection(request: Raw, response: { setHeader(name: string, value: string): unknown }): void {
  if (request.httpVersionMajor === 2) request.stream?.session?.close()
  else response.setHeader('connection', 'close')
}
type Raw = { readonly httpVersionMajor: number; readonly stream?: { readonly session?: { close(): void } | undefined } }
