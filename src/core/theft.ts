// Detects theft: a refusal is a signal if a valid token of this server was presented by another party. Decides the response, and
// limits how often it happens, so that an attacker who replays stolen tokens cannot lock out their owner.
import type { CameWith } from './came-with.ts'
import { type TheftResponse, theftResponses } from './client.ts'
import type { DetailOf } from './details.ts'
import type { Reason } from './errors.ts'

/** The certainty that another party has the token. `possible`: the client itself may have caused the refusal. */
export type Suspicion = 'certain' | 'possible'

/** The meaning of a refusal for theft detection. */
export interface Signal {
  readonly suspicion: Suspicion
  /** The number of such signals in a minute that are ignored. */
  readonly ignored: number
  /** The strongest response, regardless of the policy of the client: a mistake must not revoke grants. */
  readonly most: TheftResponse
}

const certain: Signal = { suspicion: 'certain', ignored: 0, most: 'close' }
/** The owner may have caused it through a configuration mistake. */
const possible: Signal = { suspicion: 'possible', ignored: 0, most: 'revoke_token' }
/** Honest clients cause it: they renew a certificate or reconnect, and send the old token again. */
const repeatable: Signal = { suspicion: 'possible', ignored: 2, most: 'revoke_token' }
/** A resource server without a registered resource introspects the tokens that it received. */
const alert: Signal = { suspicion: 'possible', ignored: 0, most: 'alert' }

/**
 * The cause of the refusal of a valid token: the certificate, the connection, the client that uses it, or an introspection request
 * of another client.
 */
type Objection = 'certificate' | 'connection' | 'client' | 'question'

/**
 * The refusals that can be signals; for some reasons, only certain details. All others are no signals: the token is not valid
 * (`expired`, `revoked`, …), not from this server (`bad_signature`, …), or used by its owner (`scope_missing`, `proof_invalid`, …).
 */
export const objections: { readonly [R in Reason]?: Objection | { readonly [D in DetailOf<R>]?: Objection } } = {
  no_certificate: 'certificate',
  certificate_untrusted: 'certificate',
  certificate_expired: 'certificate',
  certificate_revoked: 'certificate',
  certificate_mismatch: 'certificate',
  connection_mismatch: { other_connection: 'connection' },
  wrong_audience: 'certificate',
  unknown_client: 'certificate',
  client_mismatch: {
    other_owner: 'client',
    not_a_resource: 'question',
    order_differs: 'certificate',
    string_type: 'certificate',
    other_name: 'certificate',
    no_name: 'certificate',
    name_unreadable: 'certificate',
    other_kind_of_name: 'certificate',
    not_registered_certificate: 'certificate',
    not_vouched_for: 'certificate',
    secret: 'certificate',
    secret_missing: 'certificate',
    secret_none_stored: 'certificate',
    secret_delayed: 'certificate',
  },
  refresh_unknown: { other_client: 'client' },
  refresh_certificate_mismatch: 'certificate',
  subject_token_invalid: { other_certificate: 'certificate', other_connection: 'connection', other_client: 'client' },
}

/** The signal of each objection, by the certificate that presented the token; undefined: no signal. */
export const signals: Readonly<Record<CameWith, Readonly<Record<Objection, Signal | undefined>>>> = {
  own_certificate: { certificate: undefined, connection: repeatable, client: possible, question: undefined },
  renewed_certificate: { certificate: repeatable, connection: repeatable, client: possible, question: undefined },
  perhaps_renewed_certificate: { certificate: possible, connection: possible, client: possible, question: alert },
  other_certificate: { certificate: certain, connection: certain, client: certain, question: alert },
  no_certificate: { certificate: certain, connection: certain, client: certain, question: alert },
}

/** Returns the signal of a token from a suspected proxy (proxy-watch.ts): its owner may be behind it, or a thief pretends to be one. */
export function weaken(signal: Signal): Signal {
  return signal.suspicion === 'certain' ? possible : signal
}

/** Returns the signal of the refusal of a valid token of this server; undefined if it is no signal. */
export function suspect(reason: string, detail: string, came: CameWith): Signal | undefined {
  const known = Object.hasOwn(objections, reason) ? objections[reason as Reason] : undefined
  const objection = typeof known === 'object' ? (known as Readonly<Record<string, Objection>>)[detail] : known
  return objection && signals[came][objection]
}

/**
 * A client can reuse its own refresh token by mistake: it is late with a retry, restores a backup, or runs two processes. The
 * operator decides whether that ends the grant; it closes no connection.
 */
const reuse: Signal = { suspicion: 'possible', ignored: 0, most: 'revoke_grant' }

/** The signals of the reuse of a refresh token by the certificate or client that it is bound to. */
export const reuseSignals: Readonly<Record<DetailOf<'refresh_reused'>, Signal>> = { reused: reuse, answer_lost: reuse }

/**
 * Returns whether the reuse of a refresh token revokes its grant, by the registered theft_response. The store does it in the same
 * step as the refusal, so that no use in between succeeds.
 */
export function reuseRevokesGrant(policy: TheftResponse): boolean {
  return rank(strongest(reuse, policy)) >= rank('revoke_grant')
}

/** Seconds within which equal signals are combined, and `ignored` is counted. */
const memory = 60

/** The maximum number of automatic revocations per client in ten minutes; after that, alerts only. */
export const revocationLimit = { most: 3, within: 600 }

/** The maximum number of watched tokens. Only valid tokens are watched. */
const watched = 10_000

interface Watched {
  readonly since: number
  signals: number
  /** Signals since the last response; undefined before the first response. */
  sinceResponse: number | undefined
}

/** The response, and the number of equal signals that it combines. */
export interface Verdict {
  readonly response: TheftResponse
  /** Whether the policy of the client requires a stronger response that the limit prevented. */
  readonly damped: boolean
  readonly count: number
}

/** Decides the response to signals of theft. One instance per server. */
export class TheftWatch {
  readonly #tokens = new Map<string, Watched>()
  readonly #revocations = new Map<string, number[]>()

  /**
   * Evaluates a signal for a token of `client`, identified by its `jti` or grant. `policy` is the registered theft_response, `now` is
   * in seconds since 1970. Returns undefined if there is no response.
   */
  evaluate(token: string, client: string, signal: Signal, policy: TheftResponse, now: number): Verdict | undefined {
    const { suspicion, ignored, most } = signal
    const seen = this.#watch(`${suspicion} ${ignored} ${most} ${token}`, now)
    seen.signals++
    if (policy === 'record' || seen.signals <= ignored) return undefined
    if (seen.sinceResponse !== undefined) {
      seen.sinceResponse++
      return undefined
    }
    seen.sinceResponse = 0
    const wanted = strongest(signal, policy)
    const damped = rank(wanted) > rank('alert') && !this.#mayRevoke(client, now)
    return { response: damped ? 'alert' : wanted, damped, count: seen.signals }
  }

  #watch(key: string, now: number): Watched {
    const known = this.#tokens.get(key)
    if (known !== undefined && isWithin(memory, known.since, now)) return known
    this.#tokens.delete(key)
    if (this.#tokens.size >= watched) this.#tokens.delete(this.#tokens.keys().next().value as string) // the oldest
    const fresh: Watched = { since: now, signals: known?.sinceResponse ?? 0, sinceResponse: undefined }
    this.#tokens.set(key, fresh)
    return fresh
  }

  #mayRevoke(client: string, now: number): boolean {
    const recent = (this.#revocations.get(client) ?? []).filter(time => isWithin(revocationLimit.within, time, now))
    const may = recent.length < revocationLimit.most
    if (may) recent.push(now)
    this.#revocations.set(client, recent)
    return may
  }
}

/** Returns the response that both the policy and the signal allow. */
function strongest({ most }: Signal, policy: TheftResponse): TheftResponse {
  return rank(policy) < rank(most) ? policy : most
}

function rank(response: TheftResponse): number {
  return theftResponses.indexOf(response)
}

/** Returns whether fewer seconds have passed. Returns false if the clock was set back, because the elapsed time is unknown. */
function isWithin(seconds: number, since: number, now: number): boolean {
  return now >= since && now - since < seconds
}
