// What was revoked, in memory: asked on every request, so it costs a few look-ups however much was revoked.
// Each entry goes when nothing that it could stop is alive any longer. Where revocations are kept is store.ts.

/** What can be revoked: one token, all tokens of a grant, a client, a certificate, or all there are. */
export const revocationKinds = ['token', 'grant', 'client', 'certificate', 'all'] as const

export type RevocationKind = (typeof revocationKinds)[number]

export interface Revocation {
  readonly kind: RevocationKind
  /** `jti`, id of the grant or client, `x5t#S256`; nothing counts for `all`. */
  readonly value: string
  /** Seconds since 1970: what was issued before this second is dead. For `token` and `grant` nothing survives anyway. */
  readonly notBefore: number
  /** Seconds since 1970 after which nothing that it could stop is alive. */
  readonly expires: number
}

/** What is asked about: the claims of a token, and the certificate that it is bound to. */
export interface Revocable {
  readonly jti: string
  readonly grant?: string | undefined
  readonly client_id: string
  readonly iat: number
  /** Nobody may have looked at it yet. */
  readonly cnf?: { readonly 'x5t#S256'?: string } | null
}

export class Revocations {
  readonly #entries: Readonly<Record<RevocationKind, Map<string, Revocation>>> = {
    token: new Map(),
    grant: new Map(),
    client: new Map(),
    certificate: new Map(),
    all: new Map(),
  }
  /** The keys by the minute in which they can go, so that removing them never looks at the others. */
  readonly #due = new Map<number, [RevocationKind, string][]>()

  /** Takes note of a revocation. A later mark for the same thing goes before an earlier one. */
  add(revocation: Revocation): void {
    const { kind, value, notBefore, expires } = revocation
    const key = kind === 'all' ? '' : value
    const known = this.#entries[kind].get(key)
    const merged = known
      ? { ...revocation, notBefore: Math.max(notBefore, known.notBefore), expires: Math.max(expires, known.expires) }
      : revocation
    this.#entries[kind].set(key, merged)
    const minute = Math.floor(merged.expires / 60)
    if (known !== undefined && Math.floor(known.expires / 60) === minute) return // it is due then already
    const due = this.#due.get(minute)
    if (due === undefined) this.#due.set(minute, [[kind, key]])
    else due.push([kind, key])
  }

  /** Whether a token was revoked, by whatever it belongs to. */
  includes({ jti, grant, client_id, iat, cnf }: Revocable): boolean {
    const { token, grant: grants, client, certificate, all } = this.#entries
    return (
      token.has(jti) ||
      (grant !== undefined && grants.has(grant)) ||
      isBefore(iat, client.get(client_id)) ||
      isBefore(iat, certificate.get(cnf?.['x5t#S256'] ?? '')) ||
      isBefore(iat, all.get(''))
    )
  }

  /** Forgets what can stop nothing any longer. `now` in seconds since 1970. */
  removeExpired(now: number): void {
    for (const [minute, keys] of this.#due) {
      if ((minute + 1) * 60 > now) continue
      this.#due.delete(minute)
      for (const [kind, key] of keys)
        if ((this.#entries[kind].get(key)?.expires ?? Number.POSITIVE_INFINITY) <= now) this.#entries[kind].delete(key)
    }
  }

  /** How many there are. */
  get size(): number {
    return revocationKinds.reduce((sum, kind) => sum + this.#entries[kind].size, 0)
  }
}

function isBefore(issuedAt: number, mark: Revocation | undefined): boolean {
  return mark !== undefined && issuedAt < mark.notBefore
}
