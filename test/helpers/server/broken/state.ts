// Faults in stored state: refresh tokens and revocations (RFC 9700 §4.14, RFC 7009).
import type { Fault } from '../broken-server.ts'
import { thumbprintOf } from './claims.ts'

export const stateFaults = {
  /** Accepts a refresh token from any client. */
  refreshesForAnybody: {
    kept: (store, asker) => ({
      findRefreshToken: async hash => {
        const known = await store.findRefreshToken(hash)
        const by = asker()?.connection
        if (known === undefined || by === undefined) return known
        const { certificate, clientId } = known.grant
        const own = { certificate: thumbprintOf(by) ?? certificate, clientId: by.client?.id ?? clientId }
        return { ...known, grant: { ...known.grant, ...own } }
      },
    }),
  },
  /** Accepts a refresh token any number of times, with a new one each time. */
  refreshesTwice: {
    kept: store => ({
      rotateRefreshToken: async (hash, successorHash, now) => {
        const known = await store.findRefreshToken(hash)
        if (known?.state !== 'used') return store.rotateRefreshToken(hash, successorHash, now)
        return { outcome: 'static', grant: known.grant }
      },
    }),
  },
  /** Acknowledges a revocation without storing it. */
  revokesNothing: { kept: () => ({ revoke: async () => {} }) },
} satisfies Record<string, Fault>
