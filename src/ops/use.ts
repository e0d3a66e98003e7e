// What a revocation concerns on open connections. Each worker of a server measures its own.
import { type Revocation, Revocations } from '../core/revocations.ts'
import type { Connection } from '../tls/connection.ts'

/** What a revocation concerns on the open connections of this server, or of one of its workers. */
export interface Use {
  /** The `jti` of each access token that was not counted before. */
  readonly fresh: readonly string[]
  /** Access tokens, counted before or not. */
  readonly tokens: number
  /** Connections of a revoked certificate. */
  readonly connections: number
}

export type MeasureUse = (revocation: Revocation) => Use

/** Creates a function that measures the use of what a revocation concerns. It counts each token as fresh once. */
export function createMeasureUse(connections: Iterable<Connection>, now: () => number): MeasureUse {
  const counted = new WeakSet<object>()
  return revocation => {
    const revoked = new Revocations()
    revoked.add(revocation, Number.POSITIVE_INFINITY) // later than the marks that the tokens were issued after
    const open = [...connections]
    const tokens = open
      .flatMap(({ verified }) => [...(verified?.values() ?? [])].map(({ token }) => token.claims))
      .filter(claims => claims.exp > now() && revoked.includes(claims))
    const fresh = tokens.filter(claims => !counted.has(claims))
    for (const claims of fresh) counted.add(claims)
    const isRevoked = ({ thumbprint }: Connection) =>
      revocation.kind === 'certificate' && thumbprint === revocation.value
    return {
      fresh: fresh.map(({ jti }) => jti),
      tokens: tokens.length,
      connections: open.filter(isRevoked).length,
    }
  }
}
