// When the listener's certificate, client authorities and revocation lists expire, and whether clients of each authority
// can be accepted. Names come from the operator's files; no client can add to them.
import { assessAuthorities } from '../../tls/authority-standing.ts'
import type { InUse as Everything } from '../../tls/listener-options.ts'

type InUse = Pick<Everything, 'chain' | 'trust'>

/** The earliest expiry of each kind, in seconds since 1970. */
export type Ends = Readonly<Partial<Record<'server_certificate' | 'client_authorities' | 'revocation_lists', number>>>

/** Returns the earliest expiry of each kind that exists. */
export function firstEndsOf({ chain, trust }: InUse): Ends {
  return {
    ...first(
      'server_certificate',
      chain.map(({ validToDate }) => validToDate.getTime()),
    ),
    ...first(
      'client_authorities',
      trust.authorities.map(({ notAfter }) => notAfter),
    ),
    ...first(
      'revocation_lists',
      trust.lists.flatMap(({ nextUpdate }) => nextUpdate ?? []),
    ),
  }
}

export interface ListEnd {
  /** `key`: the beginning of the authority's key identifier, since two authorities may have the same name. */
  readonly labels: { readonly authority: string; readonly key: string; readonly scope: string }
  /** Seconds since 1970. Undefined: the list has no expiry. */
  readonly end: number | undefined
  readonly entries: number
}

/** Returns the expiry and size of each revocation list. */
export function listEndsOf({ trust }: InUse): ListEnd[] {
  return trust.lists.map(({ issuerText: authority, authorityKey, scope, nextUpdate, entries }) => ({
    labels: {
      authority,
      key: authorityKey?.identifier?.toString('hex', 0, 8) ?? '',
      scope: [scope.certificates, ...scope.uris].join(' '),
    },
    end: nextUpdate === undefined ? undefined : nextUpdate / 1000,
    entries,
  }))
}

export interface AuthorityEnd {
  readonly labels: { readonly authority: string; readonly serial: string }
  /** Seconds since 1970. */
  readonly end: number
  /** Whether its clients can be accepted now. */
  readonly isUsable: boolean
}

/** Returns the expiry of each authority, and whether its clients can be accepted at `now`, in milliseconds since 1970. */
export function authorityEndsOf({ trust }: InUse, now: number): AuthorityEnd[] {
  return assessAuthorities(trust, now).map(({ authority, problem }) => ({
    labels: { authority: authority.subjectText, serial: authority.serial.toString('hex') },
    end: authority.notAfter / 1000,
    isUsable: problem === undefined,
  }))
}

function first(name: keyof Ends, ends: readonly number[]): Ends {
  return ends.length === 0 ? {} : { [name]: Math.min(...ends) / 1000 }
}
