// What a revocation ends, as far as this server can know: grants are stored, and tokens are remembered on the open connections
// where they were used. Signed access tokens are not stored.
import { type Revocation, Revocations } from '../core/revocations.ts'
import type { OpsParts } from './parts.ts'

/** As in the response. */
export interface Ended {
  /** Valid grants, with their refresh tokens, at most `mostCounted`. */
  readonly grants: number
  /** Whether there are more grants than were counted. */
  readonly more: boolean
  /** Different access tokens that were used on connections which are open here. */
  readonly tokens_in_use: number
  /** Open connections of a revoked certificate. They are closed half a second later. */
  readonly connections: number
}

/** How many grants are counted, so that the count takes milliseconds whatever the size of the store. */
const mostCounted = 10_000

export interface Extent {
  /** Whether anything that the revocation concerns is known: stored, registered or in use, also if it has ended before. */
  readonly isKnown: boolean
  readonly ended: Ended
}

/** Creates a function that measures a revocation which is about to be stored. It counts each token in use once. */
export function createExtent({ store, clients, tls, now }: Pick<OpsParts, 'store' | 'clients' | 'tls' | 'now'>) {
  const counted = new WeakSet<object>()

  function isRegistered({ kind, value }: Revocation): boolean {
    if (kind === 'client') return clients.get(value) !== undefined
    return kind === 'all' || (kind === 'certificate' && clients.isPinned(value))
  }

  return async (revocation: Revocation): Promise<Extent> => {
    const { kind, value } = revocation
    const { stored, valid } = await store.countGrants({ kind, value }, now(), mostCounted)
    const revoked = new Revocations()
    revoked.add(revocation)
    const connections = [...(tls?.connections ?? [])]
    const tokens = connections
      .flatMap(({ verified }) => [...(verified?.values() ?? [])].map(({ token }) => token.claims))
      .filter(claims => claims.exp > now() && revoked.includes(claims))
    const fresh = tokens.filter(claims => !counted.has(claims))
    for (const claims of fresh) counted.add(claims)
    const closed = kind === 'certificate' ? connections.filter(({ thumbprint }) => thumbprint === value).length : 0
    return {
      isKnown: stored > 0 || tokens.length > 0 || closed > 0 || isRegistered(revocation),
      ended: {
        grants: valid,
        more: stored === mostCounted,
        tokens_in_use: new Set(fresh.map(({ jti }) => jti)).size,
        connections: closed,
      },
    }
  }
}
