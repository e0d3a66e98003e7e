// The response to a reported token: it has leaked, so it is revoked with its whole grant, once, with one event. Other texts
// have no effect, and the response does not reveal the difference.
import type { FastifyRequest } from 'fastify'
import type { Facts } from '../../audit/event.ts'
import type { AccessTokenClaims } from '../../core/access-token.ts'
import { OAuthError, type TokenFacts } from '../../core/errors.ts'
import type { Leak } from '../../core/leak-report.ts'
import { hashOpaqueToken, isOpaqueToken } from '../../core/opaque-token.ts'
import { buildRevocation, type Revocation } from '../../core/revocations.ts'
import { describeToken } from '../../verify/token-facts.ts'
import type { ServerParts } from '../parts.ts'
import type { Reporter } from './leak-reporter.ts'

/**
 * Revokes the token of a leak. @throws OAuthError (rejects) when its state is unknown, or when revoking or recording fails.
 */
export type EndLeaked = (request: FastifyRequest, reporter: Reporter, leak: Leak) => Promise<void>

/** A token of this server, valid or not. */
interface Found {
  readonly kind: 'access_token' | 'refresh_token'
  readonly facts: TokenFacts
}

type Target = Pick<Revocation, 'kind' | 'value'>

/** Maximum number of remembered leaks. The store keeps the revocations themselves, for all servers. */
const maximumRemembered = 10_000

/** What the response needs of the server. */
export type LeakResponseParts = Pick<ServerParts, 'store' | 'state' | 'clients' | 'audit' | 'now' | 'readToken'>

/** Creates the response. Each server has one, so that parallel reports of a token wait for the first one. */
export function createLeakResponse(parts: LeakResponseParts): EndLeaked {
  const { store, state, clients, audit, now } = parts
  const ended = new Map<string, Promise<void>>()
  /** Revoked tokens whose event is not yet written. */
  const unwritten = new Set<string>()

  return async (request, reporter, leak) => {
    const found = await find(leak.token)
    const target = found && readTarget(found.facts)
    if (found === undefined || target === undefined) return
    const key = `${target.kind} ${target.value}`
    const before = ended.get(key)
    if (before !== undefined) return before
    const ending = end(target, found).then(isNews => {
      if (!isNews && !unwritten.has(key)) return
      unwritten.add(key)
      audit.tokenLeaked(request, describeLeak(found, target, reporter, leak))
      unwritten.delete(key)
    })
    ended.set(key, ending)
    if (ended.size > maximumRemembered) ended.delete(ended.keys().next().value as string) // the oldest
    ending.catch(() => ended.delete(key)) // the next report retries
    return ending
  }

  /** Whether the token was valid until now. */
  async function end({ kind, value }: Target, { facts }: Found): Promise<boolean> {
    if (isEnded({ kind, value }, facts)) return false
    await store.revoke(buildRevocation(kind, value, now()))
    return true
  }

  async function find(token: string): Promise<Found | undefined> {
    if (isOpaqueToken(token) === 'rt') {
      const grant = (await store.findRefreshToken(hashOpaqueToken(token)))?.grant
      if (grant === undefined) return undefined
      const { id, clientId: client_id, certificate: bound_to } = grant
      return { kind: 'refresh_token', facts: { client_id, grant: id, bound_to } }
    }
    try {
      return { kind: 'access_token', facts: describeToken(await parts.readToken(token)) }
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_token') return undefined
      throw error
    }
  }

  /**
   * Checks whether a token is revoked. Marks by time and a disabled client are ignored: the client may be enabled again,
   * and its token with it.
   */
  function isEnded({ kind, value }: Target, { client_id }: TokenFacts): boolean {
    const jti = kind === 'token' ? value : ''
    const grant = kind === 'grant' ? value : undefined
    const claims = { jti, grant, client_id: String(client_id), iat: Number.POSITIVE_INFINITY, cnf: { 'x5t#S256': '' } }
    return clients.isEnabled(claims.client_id) && state.isRevoked(claims as unknown as AccessTokenClaims)
  }
}

/** Returns what revokes a token: its grant, or the token itself. Undefined if it has no id. */
function readTarget({ grant, jti }: TokenFacts): Target | undefined {
  if (grant !== undefined) return { kind: 'grant', value: grant }
  return typeof jti === 'string' ? { kind: 'token', value: jti } : undefined
}

function describeLeak(
  { kind, facts }: Found,
  target: Target,
  { by, signature }: Reporter,
  { url, source }: Leak,
): Facts {
  return { kind, ...facts, revoked: target.kind, by, signed: signature !== undefined, url, source }
}
