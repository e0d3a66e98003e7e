// GET /binding: what the server sees of this connection. Requires no token; shows thumbprints, never the values.
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { hasExtendedMasterSecret, readChannelBindings } from '../../core/channel-binding.ts'
import { confirm, type TokenBinding, tokenBindings } from '../../core/confirmation.ts'
import { OAuthError } from '../../core/errors.ts'
import { proofAlgorithmsOf } from '../../core/proof-algorithm.ts'
import { describeSubject } from '../../core/subject-rule.ts'
import {
  type Connection,
  connectionOf,
  describeTransport,
  presentedCertificate,
  requirePresenter,
} from '../../tls/connection.ts'
import type { ServerParts } from '../parts.ts'

export function bindingRoute(app: FastifyInstance, { now }: Pick<ServerParts, 'now'>): void {
  app.get('/binding', (request, reply) => {
    reply.header('cache-control', 'no-store').send(describeBinding(request.raw, now()))
  })
}

/**
 * Describes the connection of a request at `now`, in seconds since 1970. Behind a proxy that ends TLS, version and cipher are those of
 * the proxy's connection. @throws OAuthError for a connection of another listener.
 */
export function describeBinding(request: FastifyRequest['raw'], now: number) {
  const socket = request.socket as TLSSocket
  const connection = connectionOf(request) ?? connectionOf(socket)
  if (connection === undefined)
    throw new OAuthError('invalid_request', 'binding_unavailable', 'not_mutual_tls', {
      found: describeTransport({ socket }),
    })
  const isOwn = connection.forwarded === undefined
  return {
    ...(connection.isProxySocket ? withoutTls : describeTls(socket)),
    certificate: describeCertificate(connection, now),
    bindings: isOwn ? readChannelBindings(socket) : {},
    ...(!isOwn && { attested: 'proxy' }),
    token_bindings: findLevels(connection, now),
  }
}

/** A proxy at the socket file has no TLS. */
const withoutTls = { protocol: null, cipher: null, resumed: false, extended_master_secret: false }

function describeTls(socket: TLSSocket) {
  const protocol = socket.getProtocol()
  return {
    protocol,
    cipher: socket.getCipher().standardName,
    resumed: socket.isSessionReused(),
    // TLS 1.3 has no such extension; its key schedule always provides the same protection (RFC 8446 App. D).
    extended_master_secret: protocol === 'TLSv1.3' || hasExtendedMasterSecret(socket),
  }
}

/** Returns the levels at which a token can be issued to this connection. */
function findLevels(connection: Connection, now: number): TokenBinding[] {
  return tokenBindings.filter(level => {
    try {
      return confirm(requirePresenter(connection, now, 'invalid_client', connection), level) !== undefined
    } catch (error) {
      if (error instanceof OAuthError) return false
      throw error
    }
  })
}

function describeCertificate(connection: Connection, now: number): object | null {
  if (presentedCertificate(connection) === undefined) return null
  try {
    const { thumbprint, x509 } = requirePresenter(connection, now, 'invalid_client', connection).certificate
    return {
      subject: describeSubject(x509),
      'x5t#S256': thumbprint,
      valid_to: x509.validToDate.toISOString(),
      proof_algorithms: proofAlgorithmsOf(x509.publicKey),
    }
  } catch (error) {
    if (error instanceof OAuthError) return { reason: error.reason }
    throw error
  }
}
