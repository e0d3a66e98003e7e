// Security events of the servers: one function each (audit/event.ts). docs/reference/events.md lists the names. An event is
// written as JSON, so text of a client cannot leave its string.
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { EventName, Facts, Observer, Outcome, RecordEvent, SecurityEvent } from '../audit/event.ts'
import type { AccessTokenClaims } from '../core/access-token.ts'
import type { GrantType, TheftResponse } from '../core/client.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { OAuthError, type Reason, type TokenFacts } from '../core/errors.ts'
import { findCertificateField } from '../core/forwarded-certificate.ts'
import { type ErrorLog, guardedWithLog } from '../core/guard.ts'
import { redactTokens } from '../core/leak-report.ts'
import type { SuspectedProxy } from '../core/proxy-watch.ts'
import type { Revocation } from '../core/revocations.ts'
import type { reuseSignals } from '../core/theft.ts'
import type { Grant } from '../store/store.ts'
import { type Connection, connectionOf } from '../tls/connection.ts'
import { describeToken } from '../verify/token-facts.ts'
import { readBasic } from './clients/client-secret.ts'

export interface Audit {
  /**
   * Calls `observer` with each event after it was written. The observer must not block. What it throws is logged; other
   * observers and the response are not affected. `own`: only those that were written here.
   */
  observe(observer: Observer, origin?: 'own'): void
  /** Passes an event that a worker has written to the observers, except those of own events. */
  relay(event: SecurityEvent): void
  tokenIssued(request: FastifyRequest, claims: AccessTokenClaims, binding: TokenBinding, grantType: GrantType): void
  tokenIntrospected(request: FastifyRequest, by: string, claims: AccessTokenClaims | undefined): void
  /** `by`: the client that asked for it, or the token's owner if there is a `cause`. Undefined: an administrator. */
  tokenRevoked(
    request: FastifyRequest | undefined,
    by: string | undefined,
    revocation: Revocation,
    cause?: 'theft' | 'leak' | 'state',
  ): void
  refreshRotated(request: FastifyRequest, grant: Grant, outcome: string): void
  /** A grant was bound to another certificate of its client. `before`: the one that it was bound to. */
  refreshRebound(request: FastifyRequest, grant: Grant, before: string): void
  /** A used refresh token was used again, and was refused. */
  refreshReused(request: FastifyRequest, grant: Grant, detail: keyof typeof reuseSignals, isRevoked: boolean): void
  /** A refusal over HTTP: `client.refused` if the client was not authenticated, else `token.refused`. */
  refused(request: FastifyRequest, refusal: OAuthError, status: number): void
  /** A connection was dropped without a response. */
  connectionRefused(socket: TLSSocket, refusal: OAuthError): void
  /** A connection was refused before its handshake. */
  handshakeRefused(peer: Pick<Facts, 'peer' | 'peer_port'>, refusal: OAuthError): void
  /** The server has closed a live connection whose client may no longer act, or a request of this client of a proxy. */
  connectionClosed(socket: TLSSocket, reason: Reason, client?: Connection): void
  /** A valid token was presented on the wrong connection. `signal`: the refusal that showed it. */
  theftSuspected(signal: SecurityEvent, response: TheftResponse, facts?: Facts): void
  /** Tokens of several clients were presented from one source: probably a proxy that ends TLS. `signal`: the last refusal. */
  proxySuspected(signal: SecurityEvent, found: Pick<SuspectedProxy, 'clients' | 'count'>): void
  /** A token was reported as leaked and was revoked. `request`: the report. */
  tokenLeaked(request: FastifyRequest, facts: Facts): void
  /** A notification was discarded after its last attempt. */
  notificationFailed(facts: Facts): void
  /** A signing key has changed. @throws UnwrittenEvent; the caller must then retry. */
  keyRotated(key: { readonly kid: string; readonly nbf?: number | undefined }, change: KeyChange): void
  settingsUnsafe(setting: string): void
  /** A worker process has started or ended. @throws UnwrittenEvent; then no worker is started. */
  workerChanged(change: WorkerChange, worker: number, chainOf: string, last?: string): void
  /** An administrator changed a client. */
  clientChanged(request: FastifyRequest, clientId: string, change: ClientChange, secretId?: string): void
  /** The ops listener refused a request. */
  adminRefused(request: FastifyRequest, refusal: OAuthError, status: number): void
}

/**
 * `changed`: another key has its id now. `rescheduled`: its times were changed. `present`: it existed at the start, and no
 * earlier keys were recorded.
 */
export type KeyChange = 'added' | 'changed' | 'rescheduled' | 'removed' | 'present'

/** `stopped`: with the server, or because it was asked to; `crashed`: in any other way. */
export type WorkerChange = 'started' | 'stopped' | 'crashed'

export type ClientChange = 'added' | 'replaced' | 'disabled' | 'enabled' | 'removed' | 'secret_added' | 'secret_removed'

/**
 * The refusal sent when an event cannot be written. Without its event nothing is issued or allowed. This refusal itself has
 * no event, because that could not be written either.
 */
export class UnwrittenEvent extends OAuthError {
  constructor(cause: unknown) {
    super('temporarily_unavailable', 'store_unavailable', 'event_not_written')
    this.cause = cause
  }
}

/**
 * Creates the recorder. Each event is written before its response. If writing fails, functions whose response waits for the
 * event throw UnwrittenEvent; for the others, `record` reports the failure. `log` receives what observers throw.
 */
export function createAudit(record: RecordEvent, log: ErrorLog = { error() {} }): Audit {
  const observers: Observer[] = []
  /** Those that also receive the events of workers. */
  const all = new Set<Observer>()
  const write = (event: EventName, outcome: Outcome, facts: Facts) => {
    const written = { time: new Date().toISOString(), event, outcome, ...facts }
    try {
      record(written)
    } catch (error) {
      throw new UnwrittenEvent(error)
    }
    for (const observe of observers) observe(written)
  }
  const note: typeof write = (...event) => {
    try {
      write(...event)
    } catch {}
  }

  return {
    observe(observer, origin) {
      const observe = guardedWithLog(log, 'unhandled error in an event observer', observer)
      observers.push(observe)
      if (origin !== 'own') all.add(observe)
    },
    relay(event) {
      for (const observe of all) observe(event)
    },
    tokenIssued: (request, { client_id, sub, act, jti, grant, scope, exp }, token_binding, grant_type) =>
      write('token.issued', 'success', {
        client_id,
        sub,
        act,
        jti,
        grant,
        scope,
        exp,
        token_binding,
        grant_type,
        ...describeRequest(request),
      }),
    tokenIntrospected: (request, by, claims) =>
      write('token.introspected', 'success', {
        client_id: by,
        active: claims !== undefined,
        jti: claims?.jti,
        ...describeRequest(request),
      }),
    tokenRevoked: (request, by, { kind, value }, cause) =>
      write('token.revoked', 'success', {
        client_id: by,
        kind,
        value,
        cause,
        ...(request && describeRequest(request)),
      }),
    refreshRotated: (request, { id, clientId }, outcome) =>
      write('refresh.rotated', 'success', {
        client_id: clientId,
        grant: id,
        how: outcome,
        ...describeRequest(request),
      }),
    refreshRebound: (request, { id, clientId, certificate }, before) =>
      write('refresh.rebound', 'success', {
        client_id: clientId,
        grant: id,
        bound_to: certificate,
        bound_before: before,
        ...describeRequest(request),
      }),
    refreshReused: (request, { id, clientId, certificate }, detail, isRevoked) =>
      write('refresh.reused', 'refused', {
        detail,
        grant_revoked: isRevoked,
        client_id: clientId,
        grant: id,
        bound_to: certificate,
        ...describeRequest(request),
      }),
    refused: (request, refusal, status) => {
      if (refusal instanceof UnwrittenEvent) return
      const { code, reason, token = refusal.endedToken ?? acceptedToken(request) } = refusal
      const claimed = claimedClient(request)
      write(code === 'invalid_client' ? 'client.refused' : 'token.refused', 'refused', {
        reason,
        ...explain(withIgnoredField(refusal, request)),
        status,
        client_id: claimed,
        ...(token && { ...token, by: claimed === token.client_id ? undefined : claimed }), // its owner, and the claimed client
        ...describeRequest(request),
      })
    },
    connectionRefused: (socket, refusal) =>
      note('connection.refused', 'refused', {
        reason: refusal.reason,
        ...explain(refusal),
        ...describeConnection(socket),
      }),
    handshakeRefused: ({ peer, peer_port }, refusal) =>
      note('connection.refused', 'refused', { reason: refusal.reason, ...explain(refusal), peer, peer_port }),
    connectionClosed: (socket, reason, client) =>
      note('connection.closed', 'success', { reason, ...describeConnection(socket, client) }),
    theftSuspected: (signal, response, facts) => {
      const { time: _time, event, outcome: _outcome, count: _count, ...about } = signal
      note('theft.suspected', 'unknown', { ...about, signal: event, response, ...facts })
    },
    proxySuspected: ({ 'x5t#S256': certificate, peer, peer_port, came_with }, { clients, count }) =>
      note('proxy.suspected', 'unknown', { 'x5t#S256': certificate, peer, peer_port, came_with, clients, count }),
    tokenLeaked: (request, facts) => write('token.leaked', 'success', { ...facts, ...describeRequest(request) }),
    notificationFailed: facts => note('notification.failed', 'refused', facts),
    keyRotated: ({ kid, nbf }, change) => write('key.rotated', 'success', { kid, nbf, change }),
    settingsUnsafe: setting => note('settings.unsafe', 'unknown', { setting }),
    workerChanged: (change, worker, chain_of, last) =>
      write('worker.changed', change === 'crashed' ? 'unknown' : 'success', { change, worker, chain_of, last }),
    clientChanged: (request, client_id, change, secret_id) =>
      write('client.changed', 'success', { client_id, change, secret_id, ...describeRequest(request) }),
    adminRefused: (request, refusal, status) => {
      if (refusal instanceof UnwrittenEvent) return
      write('admin.refused', 'refused', {
        reason: refusal.reason,
        ...explain(refusal),
        status,
        ...describeRequest(request),
      })
    },
  }
}

/** Describes the detail and the compared facts of a refusal. Text from a client is shortened and contains no token. */
export function explain({ detail, facts }: Pick<OAuthError, 'detail' | 'facts'>): {
  readonly detail: string
  readonly facts?: object
} {
  const known = Object.entries(facts).filter(([, fact]) => fact !== undefined)
  if (known.length === 0) return { detail }
  return {
    detail,
    facts: Object.fromEntries(
      known.map(([name, fact]) => [name, typeof fact === 'string' ? shorten(fact, 256) : fact]),
    ),
  }
}

/** Returns the facts of the token with which the request was accepted before it was refused, as for a malformed body. */
function acceptedToken({ token }: FastifyRequest): TokenFacts | undefined {
  return token && describeToken({ ...token.claims })
}

/**
 * Adds the name of a header field by which the sender states a certificate, although it is not a known proxy, or not the field of that
 * proxy.
 */
function withIgnoredField(
  { detail, facts }: OAuthError,
  { raw }: FastifyRequest,
): Pick<OAuthError, 'detail' | 'facts'> {
  const ignored = findCertificateField(raw.rawHeaders, connectionOf(raw)?.forwarded?.proxy.header)
  return { detail, facts: ignored === undefined ? facts : { ...facts, ignored_header: ignored } }
}

/** Returns the client_id of a request, not authenticated. */
export function claimedClient(request: FastifyRequest): string | undefined {
  const clientId = typeof request.body === 'string' ? new URLSearchParams(request.body).get('client_id') : undefined
  return shorten(clientId ?? readBasic(request.headers.authorization)?.id, 128)
}

/** Shortens and redacts untrusted text, which may contain a token in the wrong place. */
function shorten(text: string | undefined, length: number): string | undefined {
  return text === undefined ? undefined : redactTokens(text).slice(0, length)
}

function describeRequest(request: FastifyRequest): Facts {
  const path = shorten(request.raw.url?.split(/[?#]/)[0], 256) // a query or a fragment can contain a token
  return {
    request_id: request.id,
    method: request.method,
    path,
    ...describeConnection(request.raw.socket as TLSSocket, connectionOf(request.raw)),
  }
}

/** The descriptions of connections: they never change, and reading them from OpenSSL costs as much as writing the event. */
const described = new WeakMap<Connection, Facts>()

function describeConnection(carrier: TLSSocket, connection = connectionOf(carrier)): Facts {
  const known = connection && described.get(connection)
  if (known !== undefined) return known
  const { presenter, thumbprint, forwarded, socket = carrier } = connection ?? {}
  const tls = typeof socket?.getProtocol === 'function' && !socket.destroyed
  const facts: Facts = {
    'x5t#S256': thumbprint,
    ...(forwarded === undefined ? { bindings: presenter?.bindings } : { attested: 'proxy' }),
    ...(tls && { tls: socket.getProtocol(), cipher: socket.getCipher()?.name, resumed: socket.isSessionReused() }),
    peer: socket?.remoteAddress,
    peer_port: socket?.remotePort,
  }
  if (connection !== undefined && tls) described.set(connection, facts)
  return facts
}
