// A gateway alone: an app on its own listener that only forwards, for tokens of an issuer elsewhere. It publishes the keys of its
// assertions, and its metadata as a protected resource (RFC 9728).
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { tokenBindings } from '../core/confirmation.ts'
import { logError } from '../core/guard.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Introspection } from '../gateway/introspection.ts'
import type { KeyRing } from '../keys/key-ring.ts'
import type { MutualTls } from '../tls/listener-options.ts'
import { createTokenCheck, type VerifierOptions } from '../verify/token-check.ts'
import { notFound } from './not-found.ts'
import type { Audit } from './record-events.ts'
import { documentLifetime, wellKnown } from './routes/metadata.ts'
import { createApp, recordRefusals } from './server.ts'

export interface GatewayServerOptions {
  readonly tls: MutualTls
  readonly gateway: Gateway
  /** The origin of the gateway: the `iss` of its assertions. */
  readonly url: string
  readonly issuer: string
  readonly audience: string
  /** Verifies the tokens of the issuer. */
  readonly verifier: VerifierOptions
  /** Asks the issuer for revocations. Default: a token is accepted until it expires. */
  readonly introspection?: Introspection | undefined
  /** The keys of the assertions. */
  readonly keys: KeyRing
  readonly audit: Audit
  readonly log: FastifyBaseLogger
}

/** The levels of tokens that are valid on another listener than that of their issuer. */
export const levelsElsewhere = tokenBindings.filter(level => level !== 'connection')

/** Builds the server. The caller listens and closes. @throws TypeError that names the invalid option of the verifier. */
export function createGatewayServer(options: GatewayServerOptions): FastifyInstance {
  const { tls, gateway, url, issuer, audience, keys, audit, log } = options
  const onRefusal = recordRefusals(audit, log)
  const path = wellKnown('oauth-protected-resource', audience)
  const resourceMetadata = new URL(path, audience).href
  const now = () => Date.now() / 1000
  const app = createApp({ tls, audit, log, onRefusal, resourceMetadata })
  app.setNotFoundHandler(notFound)
  const check = createTokenCheck({ ...options.verifier, resourceMetadata, onWarning: message => log.warn(message) })
  gateway.mount(app, {
    check: options.introspection?.extend(check) ?? check,
    signer: { issuer: url, sign: keys.sign, now },
    refusal: { resourceMetadata, onRefusal },
    onTunnelEnd: audit.connectionClosed,
    onError: error => logError(log, error, 'unhandled error in the gateway'),
  })
  const publish = (path: string, build: () => object) =>
    app.get(path, (_request, reply) => void reply.header('cache-control', `max-age=${documentLifetime}`).send(build()))
  publish('/oauth/jwks', () => ({ keys: keys.published(now()) }))
  publish(path, () => ({
    resource: audience,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    tls_client_certificate_bound_access_tokens: true,
    token_bindings_supported: levelsElsewhere,
  }))
  return app
}
