// Revocations: what can be revoked, for how long a revocation is remembered, and what is revoked now. `Revocations` is asked
// on every request, so it costs a few look-ups however much was revoked. Where revocations are stored is store.ts.
import { clockTolerance, maximumLifetime } from './access-token.ts'

/** What can be revoked: one token, all tokens of a grant, a client, a certificate, or all tokens. */
export const revocationKinds = ['token', 'grant', 'client', 'certificate', 'all'] as const

export type RevocationKind = (typeof revocationKinds)[number]

export interface Revocation {
  readonly kind: RevocationKind
  /** `jti` or hash of the token, id of the grant or client, `x5t#S256`; ignored for `all`. */
  readonly value: string
  /**
   * Seconds since 1970. For `client`, `certificate` and `all` the mark: tokens issued before this second are revoked. For
   * `token` and `grant` every token is.
   */
  readonly notBefore: number
  /** Seconds since 1970 after which no token that it revokes is alive. The store moves it later where it knows more. */
  readonly expires: number
}

/** What is asked about: the claims of a token, and the certificate that it is bound to. */
export interface Revocable {
  readonly jti: string
  readonly grant?: string | undefined
  readonly client_id: string
  readonly iat: number
  /** The number of the latest mark that was known when it was issued, if one lay ahead of `iat`. */
  readonly issued_after?: number | undefined
  /** Not verified yet. */
  readonly cnf?: { readonly 'x5t#S256'?: string } | null
}

/**
 * How many seconds ahead of the clock a mark lies: a token is accepted whose `iat` is ahead by up to the clock tolerance.
 * What is issued before that time and after the mark carries the mark's number, which no clock decides about.
 */
export const reach = clockTolerance + 1

/**
 * Seconds after which every access token that exists now has expired, whatever lifetime was set when it was issued, on
 * servers whose clocks differ by up to the tolerance in both directions.
 */
export const afterlife = maximumLifetime + 2 * clockTolerance

/**
 * Builds the revocation of everything that exists at `now`, in seconds since 1970. Every revocation is built here, or by
 * `buildTokenRevocation`, so that none is forgotten while an access token lives; grants are known to the store, which
 * remembers it for as long as one of them and its access tokens may live.
 */
export function buildRevocation(kind: RevocationKind, value: string, now: number): Revocation {
  const notBefore = kind === 'token' || kind === 'grant' ? now : now + reach
  return { kind, value, notBefore, expires: now + afterlife }
}

/** Builds the revocation of one access token that expires at `expires`, in seconds since 1970. */
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
  /** The keys by the minute in which they can go, so that removing them never looks at the others. */
  readonly #due = new Map<number, [RevocationKind, string][]>()

  /** Adds a revocation, by its number in the store. Of two of the same thing the later times count. */
  add(revocation: Revocation, sequence = 0): void {
    const { kind, value, notBefore, expires } = revocation
    const key = kind === 'all' ? '' : value
    const known = this.#entries[kind].get(key)
    const merged = {
      ...{ kind, value, sequence },
      notBefore: Math.max(notBefore, known?.notBefore ?? notBefore),
      expires: Math.max(expires, known?.expires ?? expires),
    }
    this.#entries[kind].set(key, merged)
    const minute = Math.floor(merged.expires / 60)
    if (known !== undefined && Math.floor(known.expires / 60) === minute) return // it is due then already
    const due = this.#due.get(minute)
    if (due === undefined) this.#due.set(minute, [[kind, key]])
    else due.push([kind, key])
  }

  /** The kind of revocation that stops a token: of itself, or of what it belongs to. undefined: it is not revoked. */
  find({ jti, grant, client_id, iat, issued_after: after, cnf }: Revocable): RevocationKind | undefined {
    const { token, grant: grants, client, certificate, all } = this.#entries
    if (token.has(jti)) return 'token'
    if (grant !== undefined && grants.has(grant)) return 'grant'
    if (isOlder(iat, after, client.get(client_id))) return 'client'
    if (isOlder(iat, after, certificate.get(cnf?.['x5t#S256'] ?? ''))) return 'certificate'
    return isOlder(iat, after, all.get('')) ? 'all' : undefined
  }

  /** Whether a token is revoked. */
  includes(token: Revocable): boolean {
    return this.find(token) !== undefined
  }

  /**
   * The number of the latest mark against a client and a certificate, if one lies ahead of `now`, in seconds since 1970:
   * what is issued now is issued after it, and has to say so (`issued_after`), since its `iat` does not.
   */
  findMark(clientId: string, thumbprint: string, now: number): number | undefined {
    const { client, certificate, all } = this.#entries
    const marks = [client.get(clientId), certificate.get(thumbprint), all.get('')]
    const ahead = marks.flatMap(mark => (mark !== undefined && mark.notBefore > now ? mark.sequence : []))
    return ahead.length === 0 ? undefined : Math.max(...ahead)
  }

  /** Removes the revocations that have expired. `now` in seconds since 1970. */
  removeExpired(now: number): void {
    for (const [minute, keys] of this.#due) {
      if ((minute + 1) * 60 > now) continue
      this.#due.delete(minute)
      for (const [kind, key] of keys)
        if ((this.#entries[kind].get(key)?.expires ?? Number.POSITIVE_INFINITY) <= now) this.#entries[kind].delete(key)
    }
  }

  /** The number of revocations. */
  get size(): number {
    return revocationKinds.reduce((sum, kind) => sum + this.#entries[kind].size, 0)
  }
}

/** Whether something is older than a mark: by its time, unless it was issued shortly before that time and after the mark. */
function isOlder(issuedAt: number, issuedAfter: unknown, mark: Numbered | undefined): boolean {
  if (mark === undefined || issuedAt >= mark.notBefore) return false
  const isLater = typeof issuedAfter === 'number' && issuedAfter >= mark.sequence
  return !(isLater && issuedAt + reach >= mark.notBefore)
}
