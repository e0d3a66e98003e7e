// What follows when somebody shows that they hold a token: whoever has leaked has it too, so it ends, with its whole grant
// where it has one; once, with one event. For any other text nothing follows, and nobody is told which it was.
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

/** Ends the token of a leak. @throws OAuthError (rejects) when that cannot be known, done, or written down. */
export type EndLeaked = (request: FastifyRequest, reporter: Reporter, leak: Leak) => Promise<void>

/** A token that is ours, whether it is alive or not. */
interface Found {
  readonly kind: 'access_token' | 'refresh_token'
  readonly facts: TokenFacts
}

type Target = Pick<Revocation, 'kind' | 'value'>

/** How many of those that were ended here are remembered. The revocations themselves are, for all servers, in the store. */
const maximumRemembered = 10_000

/** One for each server: of reports that come at the same time the second waits for what the first one does. */
export function createLeakResponse(parts: ServerParts): EndLeaked {
  const { store, state, clients, audit, now } = parts
  const ended = new Map<string, Promise<void>>()
  /** Those that are revoked, and whose event could not be written yet. */
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
    ending.catch(() => ended.delete(key)) // the next report tries again
    return ending
  }

  /** Whether it was alive until now. */
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

  /** Marks by time do not count, nor that the client may not act now: it can be let in again, and the token would be too. */
  function isEnded({ kind, value }: Target, { client_id }: TokenFacts): boolean {
    const jti = kind === 'token' ? value : ''
    const grant = kind === 'grant' ? value : undefined
    const claims = { jti, grant, client_id: String(client_id), iat: Number.POSITIVE_INFINITY, cnf: { 'x5t#S256': '' } }
    return clients.isEnabled(claims.client_id) && state.isRevoked(claims as unknown as AccessTokenClaims)
  }
}

/** What a token ends by: its grant takes all that came from it along. undefined: it has no id. */
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
