// Asks an issuer for an access token over one channel, and looks whether it names that very channel before it is used.
// RFC 6749 §4.4, §5; RFC 8705 §3; the level is what `token_binding` or `cnf` says.
import type { Dispatcher } from 'undici'
import { parseObject } from '../core/compact-jws.ts'
import { type TokenBinding, tokenBindings, verifyConfirmation } from '../core/confirmation.ts'
import { OAuthError } from '../core/errors.ts'
import { readRetryAfter } from './backoff.ts'
import type { BoundChannel } from './channel.ts'
import { ClientError } from './errors.ts'
import { readJson } from './read-json.ts'

/** What to ask for. */
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
  /** The header that presents it; made once, since each request needs it. */
  readonly authorization: string
  readonly binding: TokenBinding
  readonly scope: string
  /** The channel that it was got over; at level connection the only one that it is good on. */
  readonly channel: BoundChannel
  /** When it was asked for, in milliseconds of the monotonic clock; its lifetime cannot have begun before. */
  readonly askedAt: number
  /** Milliseconds. */
  readonly lifetime: number
  /** The server's clock, in seconds since 1970. */
  serverTime(): number
}

/** Milliseconds for the answer of the issuer. */
const answerTimeout = 10_000

/**
 * Gets an access token of the client credentials grant from `path` over a channel.
 * @throws ClientError (rejects) `token_refused`, `token_unavailable`, `token_unusable` or `token_bound_elsewhere`.
 */
export async function requestToken(channel: BoundChannel, path: string, demand: TokenDemand): Promise<Token> {
  const askedAt = performance.now()
  const { headers, body } = await ask(channel.dispatcher, path, demand)
  const arrivedAt = performance.now()

  const { access_token: value, token_type: type, expires_in: lifetime, scope } = body
  // The form of RFC 6750 §2.1, so that it cannot be more than one header.
  if (typeof value !== 'string' || value.length > 8192 || !/^[A-Za-z0-9\-._~+/]+=*$/.test(value)) return unusable()
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return unusable()
  if (typeof lifetime !== 'number' || !(lifetime > 0)) return unusable()
  const claims = readClaims(value)
  const issuedAt = typeof claims?.iat === 'number' ? claims.iat : Date.parse(String(headers.date)) / 1000
  const clock = Number.isFinite(issuedAt) ? issuedAt : Date.now() / 1000
  return {
    value,
    authorization: `Bearer ${value}`,
    binding: verifyLevel(body.token_binding, claims, channel, demand.tokenBinding),
    scope: typeof scope === 'string' ? scope : (demand.scope ?? ''),
    channel,
    askedAt,
    lifetime: lifetime * 1000,
    serverTime: () => Math.floor(clock + (performance.now() - arrivedAt) / 1000),
  }
}

/** When a token expires, by the server's clock. */
export function readExpiry({ askedAt, lifetime, serverTime }: Token): Date {
  return new Date(serverTime() * 1000 + askedAt + lifetime - performance.now())
}

type Answer = { headers: Readonly<Record<string, unknown>>; body: Readonly<Record<string, unknown>> }

async function ask(dispatcher: Dispatcher, path: string, demand: TokenDemand): Promise<Answer> {
  const { clientId, scope, resource, tokenBinding } = demand
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId })
  if (scope !== undefined) form.set('scope', scope)
  if (resource !== undefined) form.set('resource', resource)
  if (tokenBinding !== undefined) form.set('token_binding', tokenBinding)
  const answer = await readJson(dispatcher, {
    path,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    headersTimeout: answerTimeout,
    bodyTimeout: answerTimeout,
  }).catch((cause: unknown) => {
    throw new ClientError('token_unavailable', { cause })
  })
  const { status, headers, body } = answer
  if (status === 429 || status >= 500) {
    const retryAfter = readRetryAfter(headers['retry-after'], headers.date)
    throw new ClientError('token_unavailable', { status, reason: readReason(body), retryAfter })
  }
  if (status >= 400) throw new ClientError('token_refused', { status, reason: readReason(body) })
  if (status !== 200 || body === undefined) return unusable()
  return { headers, body }
}

/** Our servers say precisely why; any other says it in the codes of RFC 6749 §5.2. */
function readReason(body: Readonly<Record<string, unknown>> | undefined): string | undefined {
  return [body?.reason, body?.error].find(text => typeof text === 'string' && /^[\x21-\x7e]{1,64}$/.test(text)) as
    | string
    | undefined
}

/** The claims of a JWT, which its issuer signed for others to verify; undefined for a token that says nothing to us. */
function readClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload, signature, ...others] = token.split('.')
  if (payload === undefined || signature === undefined || others.length > 0) return undefined
  return parseObject(Buffer.from(payload, 'base64url').toString())
}

/** @throws ClientError `token_bound_elsewhere` when the token is none for us on this channel, at the level asked for. */
function verifyLevel(
  stated: unknown,
  claims: Readonly<Record<string, unknown>> | undefined,
  { presenter }: BoundChannel,
  wanted: TokenBinding | undefined,
): TokenBinding {
  try {
    const said = tokenBindings.find(level => level === stated)
    // A token that says nothing is at least bound to the certificate that it was asked for with, or the resource refuses it.
    const level = claims === undefined ? (said ?? 'certificate') : verifyConfirmation(claims.cnf, presenter, () => {})
    if ((said ?? level) !== level || (wanted ?? level) !== level)
      throw new ClientError('token_bound_elsewhere', { reason: level })
    return level
  } catch (cause) {
    if (cause instanceof OAuthError) throw new ClientError('token_bound_elsewhere', { reason: cause.reason })
    throw cause
  }
}

function unusable(): never {
  throw new ClientError('token_unusable')
}
