// What we remember of a TLS connection: its presenter, or why there is none, and the tokens verified on it.
// It hangs on the TLSSocket, and on each request that came there, under a private symbol, and dies with them.
import type { TLSSocket } from 'node:tls'
import type { AccessToken } from '../core/access-token.ts'
import { readChannelBindings, readKeyingMaterial } from '../core/channel-binding.ts'
import type { Client } from '../core/client.ts'
import { type ErrorCode, OAuthError, type Why } from '../core/errors.ts'
import type { Presenter, PresenterCertificate } from '../core/presenter.ts'
import type { Counts, VersionCounts } from './counts.ts'
import { type CertificateProblem, judge, judgeAgain, type Trust } from './trust.ts'

/** The trust of a listener. A reload puts a new one in its place. */
export interface TrustInForce {
  trust: Trust
  /** Whether the certificate of this thumbprint is registered itself, so that no authority needs to vouch for it. */
  readonly isPinned: (thumbprint: string) => boolean
}

export interface Connection {
  readonly socket: TLSSocket
  readonly presenter: Presenter | undefined
  /** Why the presenter may not act, if so. */
  problem: CertificateProblem | undefined
  /** What `problem` was judged by, and what it has to be judged by now. */
  judgedBy: Trust
  readonly trusted: Readonly<TrustInForce>
  /** Where its listener counts what happens on connections of this TLS version. */
  readonly counts: VersionCounts
  /** When the handshake ended, in milliseconds of the monotonic clock. */
  readonly openedAt: number
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
  /** The proof that goes with it here, once one was verified that serves more than one request. */
  proof: string | undefined
}

const key = Symbol('tlsbound connection')
type Carrier = { [key]?: Connection }

/** Reads and keeps what is to be known of a connection whose handshake has just ended. Called once for each. */
export function rememberConnection(socket: TLSSocket, trusted: TrustInForce, counts: Counts): Connection {
  const verdict = judge(socket, trusted.isPinned)
  const acceptable = typeof verdict !== 'string'
  const connection: Connection = {
    socket,
    presenter: acceptable ? buildPresenter(socket, verdict) : undefined,
    problem: acceptable ? undefined : verdict,
    judgedBy: trusted.trust,
    trusted,
    counts: counts[socket.getProtocol() === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3'],
    openedAt: performance.now(),
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
 * The presenter of a connection, if it may act at `now` (seconds since 1970) by what is trusted now.
 * @throws OAuthError with `code` and `no_certificate` or `certificate_…`.
 */
export function requirePresenter(connection: Connection | undefined, now: number, code: ErrorCode): Presenter {
  if (connection === undefined) throw new OAuthError(code, 'no_certificate', 'not_mutual_tls')
  const { presenter } = connection
  const { trust } = connection.trusted
  // One that is registered itself can be taken back at any time; for the others trust changes as a whole.
  if (connection.judgedBy !== trust || presenter?.certificate.pinned === true) {
    if (presenter !== undefined)
      connection.problem = judgeAgain(presenter.certificate, trust, connection.trusted.isPinned)
    connection.judgedBy = trust
  }
  if (connection.problem !== undefined) throw new OAuthError(code, ...explainProblem(connection.problem))
  if (presenter === undefined) throw new OAuthError(code, 'no_certificate', 'not_sent')
  const { notBefore, notAfter } = presenter.certificate
  if (now > notAfter) throw new OAuthError(code, 'certificate_expired', 'ended', { found: notAfter, time: now })
  if (now < notBefore)
    throw new OAuthError(code, 'certificate_expired', 'not_yet_valid', { found: notBefore, time: now })
  return presenter
}

/** Why a certificate is refused, as a refusal says it. */
export function explainProblem(problem: CertificateProblem): Why {
  switch (problem) {
    case 'no_certificate':
      return [problem, 'not_sent']
    case 'certificate_untrusted':
      return [problem, 'not_verified']
    case 'certificate_expired':
      return [problem, 'ended']
    case 'certificate_revoked':
      return [problem, 'listed']
  }
}

/** Lets a connection end with the answer to this request; on HTTP/2 with the answers to those under way. */
export function endConnection(request: Raw, response: { setHeader(name: string, value: string): unknown }): void {
  if (request.httpVersionMajor === 2) request.stream?.session?.close()
  else response.setHeader('connection', 'close')
}
type Raw = { readonly httpVersionMajor: number; readonly stream?: { readonly session?: { close(): void } | undefined } }
