// What the server keeps, as an interface; sqlite.ts and postgres.ts are the real ones. Tokens are known by their hashes only.
// A store that cannot answer rejects, and so refuses: OAuthError temporarily_unavailable, store_unavailable, with its cause.
import type { TokenBinding } from '../core/confirmation.ts'
import type { RefreshOutcome, RefreshRefusal, Rotation } from '../core/refresh-token.ts'
import type { Revocation } from '../core/revocations.ts'

/** The family that all tokens of one authorization belong to. */
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
  /** The number of the latest mark that it was created after, if one lay ahead of `created`. */
  readonly issuedAfter?: number | undefined
  /** Seconds since 1970; nothing extends it. */
  readonly expires: number
  /** JSON: on whose behalf, after a token exchange (RFC 8693 §4.1). */
  readonly actor?: string | undefined
}

/** What is known about a refresh token. Whether its grant has expired, `grant.expires` says. */
export interface KnownRefreshToken {
  readonly grant: Grant
  /** `used` and `superseded` tokens may still be used where the rotation rule says so; `unused` and `static` ones are good. */
  readonly state: 'unused' | 'static' | 'used' | 'superseded' | 'revoked'
}

export type Refresh =
  | { readonly outcome: RefreshOutcome; readonly grant: Grant }
  | {
      readonly outcome: RefreshRefusal
      readonly grant?: Grant
      /** Of `reused`: nothing shows that another party has the token, since its successor was neither used nor replaced. */
      readonly answerLost?: boolean
    }

/** A secret of a client, as its scrypt hash. */
export interface ClientSecret {
  readonly id: string
  readonly hash: string
}

export interface ClientRecord {
  readonly id: string
  /** JSON of the registration; undefined: there is none in this store, or no longer. */
  readonly registration: string | undefined
  readonly disabled: boolean
  /** At most two, so that one can follow the other. */
  readonly secrets: readonly ClientSecret[]
}

/**
 * What every server must learn. A later one about the same client or revoked thing takes the place of an earlier one. When
 * a database was replaced by its standby, all is told again from the start.
 */
export type News = { readonly sequence: number } & (
  | { readonly kind: 'revocation'; readonly revocation: Revocation }
  | { readonly kind: 'client'; readonly client: ClientRecord }
)

export interface Note {
  readonly id: number
  readonly text: string
  /** Seconds since 1970. */
  readonly created: number
}

/** What a receiver has to be told. */
export interface Notification {
  readonly id: string
  /** Whom it is for, by a name that whoever sends it gives; no address. */
  readonly receiver: string
  /** JSON. */
  readonly body: string
  /** Milliseconds since 1970 from which on it may be sent. */
  readonly due: number
  /** Seconds since 1970 after which nobody wants to know any more. */
  readonly expires: number
}

export interface SpooledNotification extends Pick<Notification, 'id' | 'body'> {
  /** How often it was claimed, this time included. */
  readonly attempts: number
}

/** A change that contradicts what is kept: an id or hash that exists, a third secret. The caller's mistake. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
}

/** Which state a store has, and how far it has come. */
export interface StateIdentity {
  /** Random; a backup and its original have the same. */
  readonly id: string
  /** Grows with the changes: an older state has a smaller one. */
  readonly position: number
  /** It was made anew, and that is not acknowledged yet. */
  readonly isNew: boolean
}

/** Every change is durable when its promise resolves, and has happened wholly or not at all when it rejects. */
export interface Store {
  /** Resolves when the store takes changes and is of this program's version. The cause of a rejection says what is wrong. */
  check(): Promise<void>
  /** Which state this is, and how far it has come. */
  identify(): Promise<StateIdentity>
  /** Notes that the state is not new any longer. */
  acknowledge(): Promise<void>
  /** Tells `listener` the position of the state after each change that it should remember, before the change resolves. */
  watchPosition(listener: (position: number) => void): void

  /** Keeps a grant and its first refresh token. @throws ConflictError when there is such a grant or token. */
  createGrant(grant: Grant, refreshTokenHash: string): Promise<void>
  /** Finds a refresh token and its grant, also one that was used or revoked, until its grant is removed. */
  findRefreshToken(hash: string): Promise<KnownRefreshToken | undefined>
  /**
   * Uses a refresh token, in one atomic step with the rotation rule and with all revocations. `rotated`, `retried`:
   * `successorHash` is the next one. `static`: go on with the same. `reused`: the grant is revoked from now on, and all
   * servers are told. The request arrived at `now`, in whole milliseconds since 1970, by which its grant has expired or not.
   * What is a race, and what a retry, a shared store judges by its own clock: those of its servers may differ. There
   * `arrived`, the same moment in milliseconds of the monotonic clock, keeps a race that had to wait from becoming a retry.
   */
  rotateRefreshToken(hash: string, successorHash: string, now: number, arrived?: number): Promise<Refresh>

  /** Keeps the claims of an opaque access token, as JSON; `expires` in seconds since 1970. @throws ConflictError */
  keepAccessToken(hash: string, claims: string, expires: number): Promise<void>
  /** The claims, as JSON; whether they have expired or were revoked is for the caller to check. */
  findAccessToken(hash: string): Promise<string | undefined>

  /** When this has resolved, no refresh token that it stops can be used, and listeners of this store have been told. */
  revoke(revocation: Revocation): Promise<void>

  /**
   * Makes or replaces a registration, as JSON; a client that is disabled stays so. In the same step `revocation` ends what
   * it has got by the one before.
   */
  putClient(id: string, registration: string, revocation?: Revocation): Promise<void>
  /** Disables a client. `registration` is for one that has none here. False: it was disabled already. */
  disableClient(id: string, registration: string): Promise<boolean>
  /** Lets a client in again. False: it was not disabled here. */
  enableClient(id: string): Promise<boolean>
  /** The clients that have a registration here, by id. */
  listClients(): Promise<ClientRecord[]>
  /** Removes the registration and the secrets; revoke what it holds separately. False: there was none. */
  removeClient(id: string): Promise<boolean>
  /** Adds or replaces a secret; the client may be registered elsewhere. @throws ConflictError for a third one. */
  putSecret(clientId: string, id: string, hash: string): Promise<void>
  /** Removes a secret. False: there was none. */
  removeSecret(clientId: string, id: string): Promise<boolean>
  /** The secrets of a client, at most two. */
  listSecrets(clientId: string): Promise<ClientSecret[]>

  /**
   * Tells `listener`, in order of their sequence, all revocations and clients kept that are newer than the sequence
   * number `since`, and then each new one, within a second on every server. Resolves with a function that ends it, once
   * the listener knows all that was kept. The listener must not throw.
   */
  follow(listener: (news: News) => void, since?: number): Promise<() => void>
  /** Milliseconds since it was last sure that listeners know everything; Infinity before the first `follow`. */
  lastNews(): number

  /** Stores a note of a client, and removes its oldest notes beyond the limit. `created` in seconds since 1970. */
  addNote(clientId: string, text: string, created: number): Promise<Note>
  /** The newest notes of a client, newest first, at most `limit`. */
  listNotes(clientId: string, limit: number): Promise<Note[]>

  /** Keeps a notification. False: as many as may be wait for this receiver already. @throws ConflictError for a known id. */
  spoolNotification(notification: Notification): Promise<boolean>
  /** The receivers of notifications that are due at `now`, in milliseconds since 1970. */
  findDueReceivers(now: number): Promise<string[]>
  /**
   * Takes at most `limit` of the notifications of a receiver that are due at `now`, those first that are due longest. They
   * are nobody else's until `until`, both in milliseconds since 1970, and are due again then.
   */
  claimNotifications(
    receiver: string,
    claim: { readonly now: number; readonly until: number; readonly limit: number },
  ): Promise<SpooledNotification[]>
  /** Lets one that was claimed for the attempt of this number be due at `due` instead, unless it was claimed again since. */
  postponeNotification(id: string, attempts: number, due: number): Promise<void>
  /** Removes a notification that was delivered or given up. */
  removeNotification(id: string): Promise<void>

  /** Removes at most `limit` records that expired before `now`, in seconds since 1970; resolves with how many it were. */
  removeExpired(now: number, limit: number): Promise<number>
  /** Finishes what was asked for before, then gives everything back. Later calls reject. */
  close(): Promise<void>
}
