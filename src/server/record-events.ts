// Security events of the servers: one function each (audit/event.ts). docs/reference/events.md lists the names. Whatever a
// client writes into a name or address stays inside its JSON string.
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { EventName, Facts, Observer, Outcome, RecordEvent, SecurityEvent } from '../audit/event.ts'
import type { AccessTokenClaims } from '../core/access-token.ts'
import type { GrantType, TheftResponse } from '../core/client.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { OAuthError, type Reason } from '../core/errors.ts'
import { type ErrorLog, guardedWithLog } from '../core/guard.ts'
import { redactTokens } from '../core/leak-report.ts'
import type { Revocation } from '../core/revocations.ts'
import type { reuseSignals } from '../core/theft.ts'
import type { Grant } from '../store/store.ts'
import { connectionOf } from '../tls/connection.ts'
import { readBasic } from './clients/client-secret.ts'

export interface Audit {
  /**
   * Calls `observer` with each event after it was written. The observer must not block. What it throws is logged; other
   * observers and the response are not affected.
   */
  observe(observer: Observer): void
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
  /** A used refresh token was used again, and its grant was revoked. */
  refreshReused(request: FastifyRequest, grant: Grant, detail: keyof typeof reuseSignals): void
  /** A refusal over HTTP: `client.refused` if the client was not authenticated, else `token.refused`. */
  refused(request: FastifyRequest, refusal: OAuthError, status: number): void
  /** A connection was dropped without a response. */
  connectionRefused(socket: TLSSocket, refusal: OAuthError): void
  /** A connection was refused before its handshake. */
  handshakeRefused(peer: Pick<Facts, 'peer' | 'peer_port'>, refusal: OAuthError): void
  /** The server has closed a live connection whose client may no longer act. */
  connectionClosed(socket: TLSSocket, reason: Reason): void
  /** A valid token was presented on the wrong connection. `signal`: the refusal that showed it. */
  theftSuspected(signal: SecurityEvent, response: TheftResponse, facts?: Facts): void
  /** A token was reported as leaked and was revoked. `request`: the report. */
  tokenLeaked(request: FastifyRequest, facts: Facts): void
  /** A notification was discarded after its last attempt. */
  notificationFailed(facts: Facts): void
  /** A signing key has changed. @throws UnwrittenEvent; the caller must then retry. */
  keyRotated(key: { readonly kid: string; readonly nbf?: number | undefined }, change: KeyChange): void
  settingsUnsafe(setting: string): void
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
    observe: observer => void observers.push(guardedWithLog(log, 'unhandled error in an event observer', observer)),
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
    refreshReused: (request, { id, clientId, certificate }, detail) =>
      write('refresh.reused', 'refused', {
        detail,
        client_id: clientId,
        grant: id,
        bound_to: certificate,
        ...describeRequest(request),
      }),
    refused: (request, refusal, status) => {
      if (refusal instanceof UnwrittenEvent) return
      const { code, reason, token = refusal.endedToken } = refusal
      const claimed = claimedClient(request)
      write(code === 'invalid_client' ? 'client.refused' : 'token.refused', 'refused', {
        reason,
        ...explain(refusal),
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
    connectionClosed: (socket, reason) =>
      note('connection.closed', 'success', { reason, ...describeConnection(socket) }),
    theftSuspected: (signal, response, facts) => {
      const { time: _time, event, outcome: _outcome, count: _count, ...about } = signal
      note('theft.suspected', 'unknown', { ...about, signal: event, response, ...facts })
    },
    tokenLeaked: (request, facts) => write('token.leaked', 'success', { ...facts, ...describeRequest(request) }),
    notificationFailed: facts => note('notification.failed', 'refused', facts),
    keyRotated: ({ kid, nbf }, change) => write('key.rotated', 'success', { kid, nbf, change }),
    settingsUnsafe: setting => note('settings.unsafe', 'unknown', { setting }),
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
export function explain({ detail, facts }: OAuthError): { readonly detail: string; readonly facts?: object } {
  const known = Object.entries(facts).filter(([, fact]) => fact !== undefined)
  if (known.length === 0) return { detail }
  return {
    detail,
    facts: Object.fromEntries(
      known.map(([name, fact]) => [name, typeof fact === 'string' ? shorten(fact, 256) : fact]),
    ),
  }
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
    ...describeConnection(connectionOf(request.raw)?.socket ?? (request.raw.socket as TLSSocket)),
  }
}

function describeConnection(socket: TLSSocket): Facts {
  const { presenter, thumbprint } = connectionOf(socket) ?? {}
  const tls = typeof socket?.getProtocol === 'function' && !socket.destroyed
  return {
    'x5t#S256': thumbprint,
    bindings: presenter?.bindings,
    ...(tls && { tls: socket.getProtocol(), cipher: socket.getCipher()?.name, resumed: socket.isSessionReused() }),
    peer: socket?.remoteAddress,
    peer_port: socket?.remotePort,
  }
}
