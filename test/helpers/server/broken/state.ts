// Faults in stored state: refresh tokens and revocations (RFC 9700 §4.14, RFC 7009).
import { randomUUID } from 'node:crypto'
import type { KnownRefreshToken } from '../../../../src/store/store.ts'
import type { Asker, Fault } from '../broken-server.ts'
import { thumbprintOf } from './claims.ts'

/** A refresh token, as if it were bound to the client that presents it. */
function asOwner(known: KnownRefreshToken, asker: Asker | undefined): KnownRefreshToken {
  const by = asker?.connection
  if (by === undefined) return known
  const { certificate, clientId } = known.grant
  const own = { certificate: thumbprintOf(by) ?? certificate, clientId: by.client?.id ?? clientId }
  return { ...known, grant: { ...known.grant, ...own } }
}

export const stateFaults = {
  /** Accepts a refresh token from any client. */
  refreshesForAnybody: {
    kept: (store, asker) => ({
      findRefreshToken: async hash => {
        const known = await store.findRefreshToken(hash)
        return known && asOwner(known, asker())
      },
    }),
  },
  /** Repeats the answer to a used refresh token for any client. */
  repeatsForAnybody: {
    kept: (store, asker) => ({
      findRefreshToken: async hash => {
        const known = await store.findRefreshToken(hash)
        return known?.state === 'used' ? asOwner(known, asker()) : known
      },
    }),
  },
  /** Copies a grant for a renewed certificate: the refresh token works on at the old one. */
  copiesOnRenewal: {
    kept: store => ({
      rotateRefreshToken: async (hash, successor, now, use) => {
        const known = await store.findRefreshToken(hash)
        const to = use?.bindTo?.certificate
        if (known?.state !== 'unused' || to === undefined || to === known.grant.certificate)
          return store.rotateRefreshToken(hash, successor, now, use)
        const grant = { ...known.grant, id: randomUUID(), certificate: to }
        await store.createGrant(grant, successor.hash)
        return { outcome: 'rotated', grant }
      },
    }),
  },
  /** Accepts a refresh token any number of times, with a new one each time. */
  refreshesTwice: {
    kept: store => ({
      rotateRefreshToken: async (hash, successor, now, use) => {
        const known = await store.findRefreshToken(hash)
        if (known?.state !== 'used') return store.rotateRefreshToken(hash, successor, now, use)
        return { outcome: 'static', grant: known.grant }
      },
    }),
  },
  /** Acknowledges a revocation without storing it. */
  revokesNothing: { kept: () => ({ revoke: async () => {} }) },
} satisfies Record<string, Fault>
