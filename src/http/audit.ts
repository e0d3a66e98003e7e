// Security events: one JSON line each, through pino, on a stream of their own. Never a token, only its id; never a key.
// Names are those of the contract in README.md. Whatever a client puts into a name or address stays inside its JSON string.
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { type DestinationStream, pino } from 'pino'
import type { AccessTokenClaims } from '../core/access-token.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import type { OAuthError, Reason } from '../core/errors.ts'
import { connectionOf } from './connection.ts'

export interface Audit {
  tokenIssued(request: FastifyRequest, claims: AccessTokenClaims, binding: TokenBinding): void
  /** A refusal over HTTP: `client.refused` when the client could not be authenticated, else `token.refused`. */
  refused(request: FastifyRequest, refusal: OAuthError, status: number): void
  /** A connection that is dropped without an answer. */
  connectionRefused(socket: TLSSocket, reason: Reason): void
  settingsUnsafe(setting: string): void
}

/** Events go to `stream`, each written before the answer that it belongs to. */
export function createAudit(stream: DestinationStream): Audit {
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: level => ({ level }) } },
    { write: line => stream.write(escapeControls(line)) },
  )
  const write = (event: string, outcome: 'success' | 'refused' | 'unknown', facts: object) =>
    log.info({ event, outcome, ...facts })

  return {
    tokenIssued: (request, { client_id, jti, scope, exp }, token_binding) =>
      write('token.issued', 'success', { client_id, jti, scope, exp, token_binding, ...describeRequest(request) }),
    refused: (request, { code, reason, token }, status) =>
      write(code === 'invalid_client' ? 'client.refused' : 'token.refused', 'refused', {
        reason,
        status,
        client_id: claimedClient(request),
        ...token,
        ...describeRequest(request),
      }),
    connectionRefused: (socket, reason) =>
      write('connection.refused', 'refused', { reason, ...describeConnection(socket) }),
    settingsUnsafe: setting => write('settings.unsafe', 'unknown', { setting }),
  }
}

/** JSON lets these stand raw, but a terminal or a line reader may take them for more than text. */
function escapeControls(line: string): string {
  return line.replace(/[\u007f-\u009f\u2028\u2029]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Whom a token request says it comes from; nobody has looked at it yet. */
function claimedClient(request: FastifyRequest): string | undefined {
  const clientId = typeof request.body === 'string' ? new URLSearchParams(request.body).get('client_id') : undefined
  return clientId?.slice(0, 128)
}

function describeRequest(request: FastifyRequest): object {
  const path = request.raw.url?.split('?')[0]?.slice(0, 256) // a query can hold a token
  return {
    request_id: request.id,
    method: request.method,
    path,
    ...describeConnection(request.raw.socket as TLSSocket),
  }
}

function describeConnection(socket: TLSSocket): object {
  const presenter = connectionOf(socket)?.presenter
  const tls = typeof socket?.getProtocol === 'function' && !socket.destroyed
  return {
    'x5t#S256': presenter?.certificate.thumbprint,
    bindings: presenter?.bindings,
    ...(tls && { tls: socket.getProtocol(), cipher: socket.getCipher()?.name, resumed: socket.isSessionReused() }),
    peer: socket?.remoteAddress,
    peer_port: socket?.remotePort,
  }
}
