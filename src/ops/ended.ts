// What a revocation ends, as far as this server can know: grants are stored, and tokens are remembered on the open connections
// where they were used. Signed access tokens are not stored.
import type { Revocation } from '../core/revocations.ts'
import type { OpsParts } from './parts.ts'
import { createMeasureUse } from './use.ts'

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

/** Creates a function that measures a revocation which is about to be stored. */
export function createExtent({
  store,
  clients,
  tls,
  now,
  measureUse,
}: Pick<OpsParts, 'store' | 'clients' | 'tls' | 'now' | 'measureUse'>) {
  const measureOwn = createMeasureUse(tls?.connections ?? [], now)
  const measure = measureUse ?? (async revocation => [measureOwn(revocation)])

  function isRegistered({ kind, value }: Revocation): boolean {
    if (kind === 'client') return clients.get(value) !== undefined
    return kind === 'all' || (kind === 'certificate' && clients.isPinned(value))
  }

  return async (revocation: Revocation): Promise<Extent> => {
    const { kind, value } = revocation
    const { stored, valid } = await store.countGrants({ kind, value }, now(), mostCounted)
    const uses = await measure(revocation)
    const connections = uses.reduce((sum, use) => sum + use.connections, 0)
    return {
      isKnown: stored > 0 || connections > 0 || uses.some(({ tokens }) => tokens > 0) || isRegistered(revocation),
      ended: {
        grants: valid,
        more: stored === mostCounted,
        tokens_in_use: new Set(uses.flatMap(({ fresh }) => fresh)).size,
        connections,
      },
    }
  }
}
