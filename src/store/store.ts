// The store as an interface; sqlite.ts and postgres.ts implement it. Tokens are stored as hashes only. A store that is
// unavailable rejects with OAuthError temporarily_unavailable, store_unavailable, and its cause.
import type { FileHandle } from 'node:fs/promises'
import type { TokenBinding } from '../core/confirmation.ts'
import type { PackedColumns } from '../core/packed-revocations.ts'
import type { Rotation } from '../core/refresh-token.ts'
import type { Revocation } from '../core/revocations.ts'

/** The family of all tokens of one authorization. */
export interface Grant {
  readonly id: string
  readonly clientId: string
  readonly subject: string
  readonly scope: string
  readonly audience: string
  readonly binding: TokenBinding
  /** `x5t#S256` of the certificate that its refresh tokens are bound to. */
  readonly certificate: string
  readonly rotation: Rotation
  /** Seconds since 1970. */
  readonly created: number
  /** Seconds since 1970 at which the grant was last bound to another certificate; undefined: never. */
  readonly rebound?: number | undefined
  /**
   * Number of the latest revocation mark that the grant was created or rebound after, if the mark's time was later than that.
   */
  readonly issuedAfter?: number | undefined
  /** Seconds since 1970; never extended. */
  readonly expires: number
  /** JSON: the actor after a token exchange (RFC 8693 §4.1). */
  readonly actor?: string | undefined
}

/** A server that uses the store. */
export interface KnownServer {
  /** Random. */
  readonly id: string
  /** What it says of itself, as JSON. */
  readonly description: string
  /** When it last recorded itself, in milliseconds since 1970 by the clock of the store. */
  readonly seen: number
}

/** The other servers that use the store now. */
export interface ServersFound {
  /** Those that have recorded themselves in the last 15 seconds. */
  readonly others: readonly KnownServer[]
  /** Milliseconds since 1970 by the clock of the store. */
  readonly now: number
}

export interface ServerRecord extends ServersFound {
  /** False if `admits` has returned false. */
  readonly isRecorded: boolean
}

/** The state of a refresh token. `grant.expires` says whether its grant has expired. */
export interface KnownRefreshToken {
  readonly grant: Grant
  /** `used` tokens may still be used if the rotation rule allows it. `unused` and `static` ones are valid. */
  readonly state: 'unused' | 'static' | 'used' | 'revoked'
}

/** The next refresh token: its hash, and the token itself, encrypted under a key that is derived from the one before it. */
export interface Successor {
  readonly hash: string
  readonly sealed: string
}

/** How a refresh token is used. */
export interface RefreshUse {
  /** The time of arrival in milliseconds of the monotonic clock. */
  readonly arrived?: number
  /** The certificate that a successful use binds the grant to. Default: the one that it is bound to. */
  readonly bindTo?: Rebinding
  /** Whether a reuse revokes the grant. Default false. */
  readonly revokesReused?: boolean
}

/** A certificate by its `x5t#S256`, and what `rebound` and `issuedAfter` of the grant become if it is another one. */
export interface Rebinding {
  readonly certificate: string
  readonly at: number
  readonly issuedAfter?: number | undefined
}

export type Refresh =
  | (Used & { readonly outcome: 'rotated' })
  | (Used & { readonly outcome: 'static' })
  /** `sealed`: what was stored with the first use. */
  | (Used & { readonly outcome: 'retried'; readonly sealed: string })
  | (Reuse & { readonly outcome: 'reused'; readonly grant: Grant })
  | { readonly outcome: 'expired'; readonly grant: Grant }
  | { readonly outcome: 'revoked'; readonly grant: Grant }
  | { readonly outcome: 'unknown' }

interface Reuse {
  readonly detail: 'reused' | 'answer_lost'
  /** Milliseconds since the first use. */
  readonly sinceFirstUse: number
}

interface Used {
  readonly grant: Grant
  /** The `x5t#S256` that the grant was bound to, if this use has changed that. */
  readonly boundBefore?: string
}

export interface GrantCount {
  /** The stored grants, also those that have ended and are not yet removed. */
  readonly stored: number
  /** The grants among them that have neither expired nor been revoked. */
  readonly valid: number
}

/** A client secret, as its scrypt hash. */
export interface ClientSecret {
  readonly id: string
  readonly hash: string
}

export interface ClientRecord {
  readonly id: string
  /** JSON of the registration. Undefined: this store has none. */
  readonly registration: string | undefined
  readonly disabled: boolean
  /** At most two, so that secrets can be rotated. */
  readonly secrets: readonly ClientSecret[]
}

/**
 * A change that every server must learn. A later change of the same client or revoked thing replaces an earlier one. After
 * a failover to a standby database, all changes are sent again from the start.
 */
export type Change = { readonly sequence: number } & (
  | { readonly kind: 'revocation'; readonly revocation: Revocation }
  | { readonly kind: 'client'; readonly client: ClientRecord }
)

export interface Note {
  readonly id: number
  readonly text: string
  /** Seconds since 1970. */
  readonly created: number
}

/** A queued notification. */
export interface Notification {
  readonly id: string
  /** The name of its receiver, chosen by the sender; not an address. */
  readonly receiver: string
  /** JSON. */
  readonly body: string
  /** Milliseconds since 1970 from which it may be sent. */
  readonly due: number
  /** Seconds since 1970 after which it is dropped. */
  readonly expires: number
}

export interface SpooledNotification extends Pick<Notification, 'id' | 'body'> {
  /** How often it was claimed, including this time. */
  readonly attempts: number
}

/** A change that conflicts with stored data: an existing id or hash, or a third secret. It is the caller's mistake. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
}

/** The identity and position of a state. */
export interface StateIdentity {
  /** Random. A backup has the same one as its original. */
  readonly id: string
  /** Grows with each change: an older state has a smaller one. */
  readonly position: number
  /** The state was newly created, and that is not acknowledged yet. */
  readonly isNew: boolean
}

/** A store. Every change is durable when its promise resolves, and is applied completely or not at all. */
export interface Store {
  /**
   * Resolves when the store accepts changes and has this program's schema version. The cause of a rejection says what is
   * wrong.
   */
  check(): Promise<void>
  /** Which state this is, and how far it has come. */
  identify(): Promise<StateIdentity>
  /** Records that the state is no longer new. */
  acknowledge(): Promise<void>
  /** Calls `listener` with the position of the state after each change to record, before the change resolves. */
  watchPosition(listener: (position: number) => void): void

  /** Stores a grant and its first refresh token. @throws ConflictError when the grant or token exists. */
  createGrant(grant: Grant, refreshTokenHash: string): Promise<void>
  /** Finds a refresh token and its grant, also one that was used or revoked, until its grant is removed. */
  findRefreshToken(hash: string): Promise<KnownRefreshToken | undefined>
  /**
   * Uses a refresh token, in one atomic step with the rotation rule and with all revocations. `rotated`: `successor` is stored
   * as the next token. `retried`: a successor was stored earlier and is unused; its `sealed` is returned. `static`: the same
   * token stays valid. `reused`: the use is refused; with `revokesReused` the grant is revoked, and all servers are notified.
   * A sealed copy is removed with the first use of its token. The request arrived at `now`, in whole milliseconds since 1970,
   * which decides whether the grant has expired. A shared store decides by its own clock how long ago the first use was,
   * since its servers' clocks may differ. There `arrived` keeps a retry that had to wait from counting as a late one.
   */
  rotateRefreshToken(hash: string, successor: Successor, now: number, use?: RefreshUse): Promise<Refresh>

  /** Stores the claims of an opaque access token, as JSON. `expires` in seconds since 1970. @throws ConflictError */
  keepAccessToken(hash: string, claims: string, expires: number): Promise<void>
  /** Returns the claims, as JSON. The caller checks expiry and revocation. */
  findAccessToken(hash: string): Promise<string | undefined>

  /**
   * Stores a revocation. Once resolved, no affected refresh token can be used, and the listeners of this store were
   * notified.
   */
  revoke(revocation: Revocation): Promise<void>

  /**
   * Counts the grants that a revocation of this kind and value concerns, at most `limit`; the ones that end last come first.
   * `now` in seconds since 1970. No access token on its own is a grant, so that there are none for `token`.
   */
  countGrants(target: Pick<Revocation, 'kind' | 'value'>, now: number, limit: number): Promise<GrantCount>

  /**
   * Creates or replaces a registration, as JSON; a disabled client stays disabled. In the same step, `revocation` ends what
   * the client got by the old one.
   */
  putClient(id: string, registration: string, revocation?: Revocation): Promise<void>
  /** Disables a client. `registration` is stored if there is none here. Returns false if it was disabled already. */
  disableClient(id: string, registration: string): Promise<boolean>
  /** Enables a client again. Returns false if it was not disabled here. */
  enableClient(id: string): Promise<boolean>
  /** Returns the clients with a registration here, by id. */
  listClients(): Promise<ClientRecord[]>
  /** Removes the registration and the secrets; revoke its tokens separately. Returns false if there was none. */
  removeClient(id: string): Promise<boolean>
  /** Adds or replaces a secret. The client may be registered elsewhere. @throws ConflictError for a third secret. */
  putSecret(clientId: string, id: string, hash: string): Promise<void>
  /** Removes a secret. False: there was none. */
  removeSecret(clientId: string, id: string): Promise<boolean>
  /** The secrets of a client, at most two. */
  listSecrets(clientId: string): Promise<ClientSecret[]>

  /**
   * Calls `listener`, in order of their sequence, with all stored changes after the sequence number `since`, and then with
   * each new one, within a second on every server. Resolves once the listener has received all stored changes, with a
   * function that stops it. The listener must not throw. A store may call `addPacked` first, once, with many stored revocations
   * at once, which the listener does not receive then.
   */
  follow(
    listener: (change: Change) => void,
    since?: number,
    addPacked?: (revocations: PackedColumns) => void,
  ): Promise<() => void>
  /** Returns the milliseconds since the listeners were last known to be up to date. Infinity before the first `follow`. */
  millisecondsSinceSync(): number

  /** Stores a note of a client, and removes its oldest ones beyond the limit. `created` in seconds since 1970. */
  addNote(clientId: string, text: string, created: number): Promise<Note>
  /** Returns the newest notes of a client, newest first, at most `limit`. */
  listNotes(clientId: string, limit: number): Promise<Note[]>

  /** Queues a notification. Returns false if the receiver's queue is full. @throws ConflictError for an existing id. */
  spoolNotification(notification: Notification): Promise<boolean>
  /** Returns the receivers of notifications that are due at `now`, in milliseconds since 1970. */
  findDueReceivers(now: number): Promise<string[]>
  /**
   * Claims at most `limit` of a receiver's notifications that are due at `now`, the longest due first. They are reserved
   * until `until`, both in milliseconds since 1970, and are then due again.
   */
  claimNotifications(
    receiver: string,
    claim: { readonly now: number; readonly until: number; readonly limit: number },
  ): Promise<SpooledNotification[]>
  /** Makes a notification that was claimed for this attempt due at `due` instead, unless it was claimed again. */
  postponeNotification(id: string, attempts: number, due: number): Promise<void>
  /** Removes a notification that was delivered or given up. */
  removeNotification(id: string): Promise<void>

  /**
   * Opens a consistent copy of the whole state, which requests change meanwhile. The caller closes the file. Absent where the
   * database has tools of its own for that.
   */
  backup?(): Promise<FileHandle>

  /**
   * Records that a server uses the store, or that it still does. With `admits` it does so while no other server does, and only
   * if `admits` returns true for the others; `admits` may be called again. Absent where only one server can use the store.
   */
  recordServer?(
    server: Pick<KnownServer, 'id' | 'description'>,
    admits?: (found: ServersFound) => boolean,
  ): Promise<ServerRecord>
  /** Removes the record of a server that ends. */
  removeServer?(id: string): Promise<void>

  /** Removes at most `limit` records that expired before `now`, in seconds since 1970. Resolves with their number. */
  removeExpired(now: number, limit: number): Promise<number>
  /** Completes pending calls, then closes. Later calls reject. */
  close(): Promise<void>
}
