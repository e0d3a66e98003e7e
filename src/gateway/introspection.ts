// Asks the issuer whether a token is still active (RFC 7662), for a gateway that has no store of revocations. The token is verified
// here first, so that only valid ones are asked for. An answer is used for some seconds, and renewed before they have passed.
import type { AccessToken } from '../core/access-token.ts'
import { isObject } from '../core/check-options.ts'
import { OAuthError } from '../core/errors.ts'
import { isHttpsUrl } from '../core/https-url.ts'
import { whenReady } from '../core/when-ready.ts'
import { explainUnavailable } from '../keys/remote-document.ts'
import { parseDocument, readOctets, requireDocument } from '../outgoing/document.ts'
import { describeDuration, explainFailure, OutgoingError } from '../outgoing/failure.ts'
import { connectionOf } from '../tls/connection.ts'
import { keepRecheck } from '../tls/forwarded-requests.ts'
import { discoverAddress, issuerTimeout } from '../verify/issuer-keys.ts'
import type { NodeRequest, TokenCheck } from '../verify/token-check.ts'
import { describeToken } from '../verify/token-facts.ts'
import { parseUpstream } from './routes.ts'
import { openUpstream, type Upstream, type UpstreamMaterial } from './upstream.ts'

/** Remembered answers. The oldest is forgotten first, and asked for again. */
export const mostAnswers = 10_000

export interface IntrospectionOptions {
  readonly issuer: string
  /** The client as which the gateway asks; its certificate is in `material`. */
  readonly clientId: string
  /** Milliseconds that an answer is used. */
  readonly lifetime: number
  /** Milliseconds, monotonic. */
  readonly clock: () => number
  readonly material: UpstreamMaterial
}

export interface Introspection {
  /** Adds the question to a check. */
  extend(check: TokenCheck): TokenCheck
  /** Replaces certificate and authorities of further connections. */
  replace(material: UpstreamMaterial): void
  close(): Promise<void>
}

interface Answer {
  readonly isActive: boolean
  readonly since: number
}

export function createIntrospection(options: IntrospectionOptions): Introspection {
  const { issuer, clientId, lifetime, clock } = options
  let { material } = options
  let findAddress = discover()
  let pool: { readonly address: string; readonly upstream: Upstream } | undefined
  const answers = new Map<string, Answer>()
  const underWay = new Map<string, Promise<boolean>>()

  function discover(): () => Promise<string> {
    return discoverAddress(issuer, { ca: material.ca, clock, timeout: issuerTimeout }, json =>
      parseMetadata(json, issuer),
    )
  }

  function openPool(address: string): Upstream {
    if (pool?.address === address) return pool.upstream
    void pool?.upstream.close()
    const upstream = parseUpstream(new URL(address).origin) as NonNullable<ReturnType<typeof parseUpstream>>
    pool = { address, upstream: openUpstream({ upstream, material }) }
    return pool.upstream
  }

  async function ask(token: string): Promise<boolean> {
    const address = await findAddress()
    // For the whole answer, and the wait for a connection: undici limits only the time between two parts of an answer.
    const ending = new AbortController()
    const late = new OutgoingError(
      'timed_out',
      address,
      `no complete response within ${describeDuration(issuerTimeout)}; check the server`,
    )
    const timer = setTimeout(() => ending.abort(late), issuerTimeout)
    try {
      const { dispatcher } = openPool(address)
      const { pathname, search } = new URL(address)
      const answer = await dispatcher.request({
        ...{ method: 'POST', path: pathname + search },
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ token, token_type_hint: 'access_token', client_id: clientId }).toString(),
        signal: ending.signal,
      })
      const { statusCode, headers, body } = answer
      try {
        requireDocument(address, statusCode, headers)
      } catch (error) {
        await body.dump()
        throw error
      }
      const document = parseDocument(address, headers, await readOctets(address, body))
      const { active } = isObject(document) ? (document as { readonly active?: unknown }) : {}
      if (typeof active !== 'boolean')
        throw new OutgoingError('unexpected_content', address, 'the answer has no active; check the address')
      return active
    } catch (error) {
      throw explain(ending.signal.aborted ? late : explainFailure(error, address), address)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks once at a time for each token. */
  function renew(token: string): Promise<boolean> {
    const known = underWay.get(token)
    if (known !== undefined) return known
    const since = clock() // a revocation during the question is not in its answer
    const asked = ask(token)
      .then(isActive => {
        answers.delete(token)
        if (answers.size >= mostAnswers) answers.delete(answers.keys().next().value as string)
        answers.set(token, { isActive, since })
        return isActive
      })
      .finally(() => underWay.delete(token))
    underWay.set(token, asked)
    return asked
  }

  function isActive(token: string): boolean | Promise<boolean> {
    const known = answers.get(token)
    const age = known === undefined ? Number.POSITIVE_INFINITY : clock() - known.since
    if (known === undefined || age >= lifetime) return renew(token)
    if (age >= lifetime / 2) renew(token).catch(() => {}) // no request waits for it; the answer that is known ends soon
    return known.isActive
  }

  function requireActive(request: NodeRequest, token: AccessToken): void | Promise<void> {
    const { authorization = '' } = request.headers
    return whenReady(
      () => isActive(authorization.slice(authorization.indexOf(' ') + 1)),
      active => {
        if (active) return
        const refusal = new OAuthError('invalid_token', 'revoked', 'inactive')
        refusal.token = describeToken({ ...token.claims })
        throw refusal
      },
    )
  }

  return {
    extend(check) {
      const recheck: TokenCheck['recheck'] = (request, token, mayWait = true) =>
        whenReady(
          () => check.recheck(request, token, mayWait),
          () => (mayWait ? requireActive(request, token) : undefined),
        )
      const accept = (request: NodeRequest, token: AccessToken) => {
        if (connectionOf(request)?.forwarded !== undefined)
          keepRecheck(request, mayWait => recheck(request, token, mayWait))
        return whenReady(
          () => requireActive(request, token),
          () => token,
        )
      }
      return Object.assign(
        (request: NodeRequest, demand?: Parameters<TokenCheck>[1]) =>
          whenReady(
            () => check(request, demand),
            token => accept(request, token),
          ),
        { recheck },
      )
    },
    replace(next) {
      material = next
      findAddress = discover()
      void pool?.upstream.close()
      pool = undefined
    },
    close: async () => pool?.upstream.close(),
  }
}

/** Returns the refusal of a request whose token could not be asked for. */
function explain(cause: OutgoingError, address: string): OAuthError {
  if (cause.code !== 'unexpected_content') return explainUnavailable(cause, address)
  const refusal = new OAuthError('temporarily_unavailable', 'issuer_unavailable', 'no_verdict', { address })
  return Object.assign(refusal, { cause })
}

interface Endpoints {
  readonly issuer?: unknown
  readonly introspection_endpoint?: unknown
  readonly mtls_endpoint_aliases?: { readonly introspection_endpoint?: unknown } | undefined
}

/** Returns the address of the endpoint for clients with a certificate (RFC 8705 §5). @throws TypeError */
export function parseMetadata(json: unknown, issuer: string): string {
  const metadata = (json ?? {}) as Endpoints
  if (metadata.issuer !== issuer) throw new TypeError(`the metadata belongs to another issuer than ${issuer}`)
  const address = metadata.mtls_endpoint_aliases?.introspection_endpoint ?? metadata.introspection_endpoint
  if (!isHttpsUrl(address)) throw new TypeError('introspection_endpoint in the metadata is not an https URL')
  return address
}
