// Revocations in memory: their kinds, how long they are stored, and which tokens they revoke. `Revocations` is queried for every
// request, so a query needs only a few lookups. store.ts persists revocations.
import { clockTolerance, maximumLifetime } from './access-token.ts'
import { type PackedColumns, PackedRevocations } from './packed-revocations.ts'

/** The kinds: one token, all tokens of a grant, of a client, of a certificate, or all tokens. */
export const revocationKinds = ['token', 'grant', 'client', 'certificate', 'all'] as const

export type RevocationKind = (typeof revocationKinds)[number]

export interface Revocation {
  readonly kind: RevocationKind
  /** `jti` or hash of the token, id of the grant or client, or `x5t#S256`; ignored for `all`. */
  readonly value: string
  /**
   * Seconds since 1970. For `client`, `certificate` and `all`, tokens issued before this time (the mark) are revoked. For `token`
   * and `grant`, every token is.
   */
  readonly notBefore: number
  /** Seconds since 1970 at which all revoked tokens have expired. The store can postpone this time. */
  readonly expires: number
}

/** The claims of a token that revocations depend on. */
export interface Revocable {
  readonly jti: string
  readonly grant?: string | undefined
  readonly client_id: string
  readonly iat: number
  /** The sequence number of the latest mark when the token was issued, if that mark was after `iat`. */
  readonly issued_after?: number | undefined
  /** Not verified yet. */
  readonly cnf?: { readonly 'x5t#S256'?: string } | null
}

/**
 * Seconds between the clock and a mark, because the `iat` of an accepted token can be ahead by the clock tolerance. A token that is
 * issued after the revocation but before the mark contains the sequence number of the mark, which is independent of clocks.
 */
export const reach = clockTolerance + 1

/**
 * Seconds after which every existing access token has expired, for every configured lifetime, on servers whose clocks differ by
 * up to the tolerance in either direction.
 */
export const afterlife = maximumLifetime + 2 * clockTolerance

/**
 * Builds a revocation at `now`, in seconds since 1970. Every revocation is built here or by `buildTokenRevocation`, so that none
 * expires before the access tokens that it revokes. The store extends it to the end of the grants and their access tokens.
 */
export function buildRevocation(kind: RevocationKind, value: string, now: number): Revocation {
  const notBefore = kind === 'token' || kind === 'grant' ? now : now + reach
  return { kind, value, notBefore, expires: now + afterlife }
}

/** Builds the revocation of an access token that expires at `expires`, in seconds since 1970. */
export function buildTokenRevocation(jti: string, expires: number, now: number): Revocation {
  return { kind: 'token', value: jti, notBefore: now, expires: expires + clockTolerance }
}

interface Numbered extends Revocation {
  readonly sequence: number
}

export class Revocations {
  readonly #entries: Readonly<Record<RevocationKind, Map<string, Numbered>>> = {
    token: new Map(),
    grant: new Map(),
    client: new Map(),
    certificate: new Map(),
    all: new Map(),
  }
  /** By the minute in which they expire, so that a removal does not scan the others. */
  readonly #due = new Map<number, Numbered[]>()
  /** Those of tokens and grants that were added at once. */
  #packed: PackedRevocations | undefined

  /** Adds many revocations at once, of which those of tokens and grants apply. Replaces those of an earlier call. */
  addPacked(columns: PackedColumns): void {
    this.#packed = new PackedRevocations(columns)
  }

  /** Adds a revocation with its sequence number in the store. Two revocations with the same value are merged with the later times. */
  add(revocation: Revocation, sequence = 0): void {
    const { kind, value, notBefore, expires } = revocation
    const key = kind === 'all' ? '' : value
    const known = this.#entries[kind].get(key)
    // Written out: a million of them are added at the start.
    const merged: Numbered =
      known === undefined
        ? { kind, value: key, notBefore, expires, sequence }
        : {
            ...{ kind, value: key, sequence },
            notBefore: Math.max(notBefore, known.notBefore),
            expires: Math.max(expires, known.expires),
          }
    this.#entries[kind].set(key, merged)
    const minute = Math.floor(merged.expires / 60)
    if (known !== undefined && Math.floor(known.expires / 60) === minute) return // already in this minute
    const due = this.#due.get(minute)
    if (due === undefined) this.#due.set(minute, [merged])
    else due.push(merged)
  }

  /** Returns the revocation that revokes a token; undefined if it is not revoked. */
  find({ jti, grant, client_id, iat, issued_after: after, cnf }: Revocable): Revocation | undefined {
    const { token, grant: grants, client, certificate, all } = this.#entries
    const single =
      token.get(jti) ??
      (grant === undefined ? undefined : grants.get(grant)) ??
      (this.#packed && findPacked(this.#packed, jti, grant))
    if (single !== undefined) return single
    const ofClient = client.get(client_id)
    if (isOlder(iat, after, ofClient)) return ofClient
    const ofCertificate = certificate.get(cnf?.['x5t#S256'] ?? '')
    if (isOlder(iat, after, ofCertificate)) return ofCertificate
    const ofAll = all.get('')
    return isOlder(iat, after, ofAll) ? ofAll : undefined
  }

  /** Returns whether a token is revoked. */
  includes(token: Revocable): boolean {
    return this.find(token) !== undefined
  }

  /**
   * Returns the sequence number of the latest mark for a client and a certificate that is after `now`, in seconds since 1970. A
   * token that is issued now must contain it as `issued_after`, because its `iat` is before the mark.
   */
  findMark(clientId: string, thumbprint: string, now: number): number | undefined {
    const { client, certificate, all } = this.#entries
    const marks = [client.get(clientId), certificate.get(thumbprint), all.get('')]
    const ahead = marks.flatMap(mark => (mark !== undefined && mark.notBefore > now ? mark.sequence : []))
    return ahead.length === 0 ? undefined : Math.max(...ahead)
  }

  /** Removes expired revocations. `now` is in seconds since 1970. */
  removeExpired(now: number): void {
    this.#packed?.removeExpired(now)
    if (this.#packed?.size === 0) this.#packed = undefined
    for (const [minute, due] of this.#due) {
      if ((minute + 1) * 60 > now) continue
      this.#due.delete(minute)
      for (const { kind, value } of due)
        if ((this.#entries[kind].get(value)?.expires ?? Number.POSITIVE_INFINITY) <= now)
          this.#entries[kind].delete(value)
    }
  }

  /** The number of revocations. One that was packed and is added again counts twice. */
  get size(): number {
    return revocationKinds.reduce((sum, kind) => sum + this.#entries[kind].size, this.#packed?.size ?? 0)
  }
}

/** Returns whether a token is older than a mark, by its `iat`; shortly before the mark, `issued_after` decides. */
function isOlder(issuedAt: number, issuedAfter: unknown, mark: Numbered | undefined): boolean {
  if (mark === undefined || issuedAt >= mark.notBefore) return false
  const isLater = typeof issuedAfter === 'number' && issuedAfter >= mark.sequence
  return !(isLater && issuedAt + reach >= mark.notBefore)
}

function findPacked(packed: PackedRevocations, jti: string, grant: string | undefined): Revocation | undefined {
  const ofToken = packed.find('token', jti)
  if (ofToken !== -1) return { kind: 'token', value: jti, notBefore: 0, expires: packed.expiryOf(ofToken) }
  const ofGrant = grant === undefined ? -1 : packed.find('grant', grant)
  if (ofGrant === -1) return undefined
  return { kind: 'grant', value: grant as string, notBefore: 0, expires: packed.expiryOf(ofGrant) }
}
