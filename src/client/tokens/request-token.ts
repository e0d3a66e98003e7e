// Requests an access token over one channel, and verifies that it names this channel before it is used.
// RFC 6749 §4.4, §5; RFC 8705 §3. `token_binding` or `cnf` states the level.
import type { Dispatcher } from 'undici'
import { parseObject } from '../../core/compact-jws.ts'
import { type TokenBinding, tokenBindings, verifyConfirmation } from '../../core/confirmation.ts'
import { OAuthError, type Reason, reasons } from '../../core/errors.ts'
import { isPaseto } from '../../core/paseto.ts'
import { decodePaseto } from '../../core/paseto-claims.ts'
import { type OutgoingError, quote } from '../../outgoing/failure.ts'
import { readRetryAfter } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError } from '../errors.ts'
import { type DocumentAnswer, readDocument } from '../read-document.ts'

/** The parameters of a token request. */
export interface TokenDemand {
  readonly clientId: string
  readonly scope?: string | undefined
  /** RFC 8707. */
  readonly resource?: string | undefined
  /** Default: what the issuer chooses. */
  readonly tokenBinding?: TokenBinding | undefined
}

export interface Token {
  readonly value: string
  /** The header that presents the token, built once. */
  readonly authorization: string
  readonly binding: TokenBinding
  readonly scope: string
  /** The channel that it was requested over; at level connection, the only one that it is valid on. */
  readonly channel: BoundChannel
  /** The time of the request on the monotonic clock, in milliseconds; its lifetime cannot have begun earlier. */
  readonly askedAt: number
  /** Milliseconds. */
  readonly lifetime: number
  /** Returns the time by the server's clock, in seconds since 1970. */
  serverTime(): number
}

/**
 * Requests an access token with the client credentials grant over a channel to the endpoint.
 * @throws ClientError (rejects) `token_refused`, `token_unavailable`, `token_unusable` or `token_bound_elsewhere`.
 */
export async function requestToken(channel: BoundChannel, endpoint: URL, demand: TokenDemand): Promise<Token> {
  const askedAt = performance.now()
  const { value, binding, answer, claims, date } = await requestAccessToken(channel, endpoint, demand)
  const arrivedAt = performance.now()
  const { expires_in: lifetime, scope } = answer
  if (typeof lifetime !== 'number' || !(lifetime > 0))
    return unusable(endpoint, `has ${describe(lifetime)} expires_in, expected a positive number`)
  const issuedAt = typeof claims?.iat === 'number' ? claims.iat : Date.parse(String(date)) / 1000
  const clock = Number.isFinite(issuedAt) ? issuedAt : Date.now() / 1000
  return {
    value,
    authorization: `Bearer ${value}`,
    binding,
    scope: typeof scope === 'string' ? scope : (demand.scope ?? ''),
    channel,
    askedAt,
    lifetime: lifetime * 1000,
    serverTime: () => Math.floor(clock + (performance.now() - arrivedAt) / 1000),
  }
}

/** A token for a channel, with the response that contained it. */
interface AccessToken {
  readonly value: string
  readonly binding: TokenBinding
  /** The response of the issuer. */
  readonly answer: Members
  readonly claims: Members | undefined
  /** The issuer's time from its Date header. */
  readonly date: string | undefined
}

/** Requests a token as `requestToken` does, but without its expiry. @throws ClientError (rejects). */
export async function requestAccessToken(
  channel: BoundChannel,
  endpoint: URL,
  demand: TokenDemand,
): Promise<AccessToken> {
  const { headers, body } = await ask(channel.dispatcher, endpoint, demand)
  const { access_token: value, token_type: type } = body
  // Only the form of RFC 6750 §2.1, which cannot inject another header.
  if (typeof value !== 'string' || value.length > 8192 || !/^[A-Za-z0-9\-._~+/]+=*$/.test(value))
    return unusable(endpoint, 'has no access_token of the form of RFC 6750 §2.1')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    return unusable(endpoint, `has ${describe(type)} token_type, expected Bearer`)
  const claims = readClaims(value)
  const binding = verifyLevel(body.token_binding, claims, channel, demand.tokenBinding, endpoint)
  return { value, binding, answer: body, claims, date: headers.date }
}

/** Returns when a token expires, by the server's clock. */
export function readExpiry({ askedAt, lifetime, serverTime }: Token): Date {
  return new Date(serverTime() * 1000 + askedAt + lifetime - performance.now())
}

type Members = Readonly<Record<string, unknown>>

async function ask(
  dispatcher: Dispatcher,
  endpoint: URL,
  { clientId, scope, resource, tokenBinding }: TokenDemand,
): Promise<{ headers: DocumentAnswer['headers']; body: Members }> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId })
  if (scope !== undefined) form.set('scope', scope)
  if (resource !== undefined) form.set('resource', resource)
  if (tokenBinding !== undefined) form.set('token_binding', tokenBinding)
  const answer = await readDocument(dispatcher, endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
  }).catch((cause: OutgoingError) => {
    throw new ClientError(cause.code === 'too_large' ? 'token_unusable' : 'token_unavailable', { cause })
  })
  const { status, headers, octets } = answer
  const body = parseObject(octets.toString())
  if (status !== 200) throw refusalOf(endpoint, status, headers, body)
  if (body !== undefined) return { headers, body }
  const { 'content-type': type = 'content without a type' } = headers
  return unusable(endpoint, `is not a JSON object, but ${octets.length} octets of ${quote(type)}`)
}

function refusalOf(
  endpoint: URL,
  status: number,
  headers: DocumentAnswer['headers'],
  body: Members | undefined,
): ClientError {
  const reason = readReason(body)
  const description = readDescription(body)
  const words = reason === undefined ? '' : ` ${reason}`
  if (status === 429 || status >= 500) {
    const retryAfter = readRetryAfter(headers['retry-after'], headers.date)
    const finding = `${endpoint.href}: the issuer cannot issue a token at the moment (${status}${words}); try again later`
    return new ClientError('token_unavailable', { status, reason, description, retryAfter, finding })
  }
  if (status < 400) {
    const where = headers.location === undefined ? '' : `, which redirects to ${quote(headers.location)}`
    const finding = `${endpoint.href}: the issuer responds with ${status}${where} instead of a token; check its token_endpoint`
    return new ClientError('token_unusable', { status, finding })
  }
  const own = reason !== undefined && Object.hasOwn(reasons, reason) ? reasons[reason as Reason] : undefined
  const remedy =
    own === undefined
      ? `${status}${words}${description === undefined ? '' : ` (${description})`}; check the registration of the client at the issuer`
      : `${reason}. ${description ?? own}`
  return new ClientError('token_refused', {
    status,
    reason,
    description,
    finding: `${endpoint.href}: the issuer refused to issue a token: ${remedy}`,
  })
}

/** Returns the reason of a refusal: the precise one of a tlsbound server, else the error code of RFC 6749 §5.2. */
function readReason(body: Members | undefined): string | undefined {
  return [body?.reason, body?.error].find(text => typeof text === 'string' && /^[\x21-\x7e]{1,64}$/.test(text)) as
    | string
    | undefined
}

/** Returns the text for the developer of the client, if it has the characters of RFC 6749 §5.2 and a length for a message. */
function readDescription(body: Members | undefined): string | undefined {
  const text = body?.error_description
  return typeof text === 'string' && /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(text) ? text : undefined
}

/** Returns the claims of a JWT or a PASETO, unverified; undefined for an opaque token. */
function readClaims(token: string): Members | undefined {
  if (isPaseto(token)) return decodePaseto(token)?.claims
  const [, payload, signature, ...others] = token.split('.')
  if (payload === undefined || signature === undefined || others.length > 0) return undefined
  return parseObject(Buffer.from(payload, 'base64url').toString())
}

/** @throws ClientError `token_bound_elsewhere` unless the token is bound to this channel at the requested level. */
function verifyLevel(
  stated: unknown,
  claims: Members | undefined,
  { presenter }: BoundChannel,
  wanted: TokenBinding | undefined,
  endpoint: URL,
): TokenBinding {
  const elsewhere = (finding: string, reason: string) =>
    new ClientError('token_bound_elsewhere', { reason, finding: `${endpoint.href}: ${finding}` })
  try {
    const said = tokenBindings.find(level => level === stated)
    // An opaque token is at least bound to the certificate of its request, or the resource rejects it.
    const level = claims === undefined ? (said ?? 'certificate') : verifyConfirmation(claims.cnf, presenter, () => {})
    if ((said ?? level) !== level)
      throw elsewhere(`the issuer states level ${said}, but its token has level ${level}; check the issuer`, level)
    if ((wanted ?? level) !== level)
      throw elsewhere(`the issuer issued a token of level ${level} instead of ${wanted}; check the registration`, level)
    return level
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    const { reason } = error
    throw elsewhere(
      `the token is not for this certificate and connection (${reason}); check whether a proxy terminates TLS in between`,
      reason,
    )
  }
}

/** Describes a member by its type, because its value could be a token. */
function describe(value: unknown): string {
  return value === undefined ? 'no' : typeof value === 'number' ? String(value) : `a ${typeof value} as`
}

function unusable(endpoint: URL, finding: string): never {
  throw new ClientError('token_unusable', { finding: `${endpoint.href}: the answer ${finding}; check the issuer` })
}
