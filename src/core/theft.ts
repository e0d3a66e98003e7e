// When a refusal is the alarm: a living token of this server came from where it does not belong. What follows, and how often,
// so that an attacker who sprays a stolen token cannot lock its owner out with it.
import type { CameWith } from './came-with.ts'
import { type TheftResponse, theftResponses } from './client.ts'
import type { DetailOf } from './details.ts'
import type { Reason } from './errors.ts'

/** How sure it is that another party holds the token. `possible`: its own client may have caused the refusal. */
export type Suspicion = 'certain' | 'possible'

/** What a refusal says about who holds the token. */
export interface Signal {
  readonly suspicion: Suspicion
  /** How many such signals in a minute are no alarm yet. */
  readonly patience: number
  /** What is done at most, whatever the client is registered for: mistakes must not cost a client its grants. */
  readonly most: TheftResponse
}

const certain: Signal = { suspicion: 'certain', patience: 0, most: 'close' }
/** The owner may have caused it, by a mistake of an operator. */
const possible: Signal = { suspicion: 'possible', patience: 0, most: 'revoke_token' }
/** Clients cause it by themselves: they renew or reconnect, and send the token that they have once more. */
const repeatable: Signal = { suspicion: 'possible', patience: 2, most: 'revoke_token' }
/** A resource server that is not registered as one asks about the tokens that it was sent. */
const alert: Signal = { suspicion: 'possible', patience: 0, most: 'alert' }

/**
 * What a refusal of a living token objects to: the certificate, the connection, the client that asks for something with it, or
 * that a client asks about it.
 */
type Objection = 'certificate' | 'connection' | 'client' | 'question'

/**
 * The refusals that can be signals. For some reasons only these details are. What is not here says nothing: the token is dead
 * (`expired`, `revoked`, …), not of this server (`bad_signature`, …), or with its owner (`scope_missing`, `proof_invalid`, …).
 */
export const objections: { readonly [R in Reason]?: Objection | { readonly [D in DetailOf<R>]?: Objection } } = {
  no_certificate: 'certificate',
  certificate_untrusted: 'certificate',
  certificate_expired: 'certificate',
  certificate_revoked: 'certificate',
  certificate_mismatch: 'certificate',
  connection_mismatch: 'connection',
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
    secret_delayed: 'certificate',
  },
  refresh_unknown: { other_client: 'client' },
  refresh_certificate_mismatch: 'certificate',
  subject_token_invalid: { other_certificate: 'certificate', other_connection: 'connection', other_client: 'client' },
}

/** What follows from an objection, by the certificate that the token came with; undefined: nothing. */
export const signals: Readonly<Record<CameWith, Readonly<Record<Objection, Signal | undefined>>>> = {
  own_certificate: { certificate: undefined, connection: repeatable, client: possible, question: undefined },
  renewed_certificate: { certificate: repeatable, connection: repeatable, client: possible, question: undefined },
  perhaps_renewed_certificate: { certificate: possible, connection: possible, client: possible, question: alert },
  other_certificate: { certificate: certain, connection: certain, client: certain, question: alert },
  no_certificate: { certificate: certain, connection: certain, client: certain, question: alert },
}

/** What the refusal of a living token of this server says about who holds it; undefined: nothing. */
export function suspect(reason: string, detail: string, came: CameWith): Signal | undefined {
  const known = Object.hasOwn(objections, reason) ? objections[reason as Reason] : undefined
  const objection = typeof known === 'object' ? (known as Readonly<Record<string, Objection>>)[detail] : known
  return objection && signals[came][objection]
}

/**
 * What the reuse of a refresh token says, whose certificate was the right one. A client that lost an answer uses its token
 * once more; it cannot have used the next one.
 */
export const reuseSignals: Readonly<Record<Exclude<DetailOf<'refresh_reused'>, 'raced'>, Signal>> = {
  reused: certain,
  answer_lost: possible,
}

/** Seconds in which equal signals are one, and in which patience counts. */
const memory = 60

/** How often in ten minutes something is taken from one client; beyond that there is only the alarm. */
export const taken = { most: 3, within: 600 }

/** Tokens that are watched at the same time; only real ones are, so their number is that of the tokens alive. */
const watched = 10_000

interface Watched {
  readonly since: number
  signals: number
  /** Signals since the one that was answered; undefined: none was yet. */
  unheard: number | undefined
}

/** What is to be done, and how many equal signals before this one led to nothing, if any did. */
export interface Verdict {
  readonly response: TheftResponse
  /** Whether the client's policy asked for more, which was held back. */
  readonly damped: boolean
  readonly count: number
}

/** Decides what follows from signals of theft. One for each server. */
export class TheftWatch {
  readonly #tokens = new Map<string, Watched>()
  readonly #takings = new Map<string, number[]>()

  /**
   * Judges a signal about a token of `client`, given by its `jti` or grant; `policy` is what the client is registered for.
   * undefined: nothing follows now. `now` in seconds since 1970.
   */
  judge(token: string, client: string, signal: Signal, policy: TheftResponse, now: number): Verdict | undefined {
    const { suspicion, patience, most } = signal
    const seen = this.#watch(`${suspicion} ${patience} ${most} ${token}`, now)
    seen.signals++
    if (policy === 'record' || seen.signals <= patience) return undefined
    if (seen.unheard !== undefined) {
      seen.unheard++
      return undefined
    }
    seen.unheard = 0
    const wanted = theftResponses[Math.min(rank(policy), rank(most))] as TheftResponse
    const damped = rank(wanted) > rank('alert') && !this.#take(client, now)
    return { response: damped ? 'alert' : wanted, damped, count: seen.signals }
  }

  #watch(key: string, now: number): Watched {
    const known = this.#tokens.get(key)
    if (known !== undefined && isWithin(memory, known.since, now)) return known
    this.#tokens.delete(key)
    if (this.#tokens.size >= watched) this.#tokens.delete(this.#tokens.keys().next().value as string) // the oldest
    const fresh: Watched = { since: now, signals: known?.unheard ?? 0, unheard: undefined }
    this.#tokens.set(key, fresh)
    return fresh
  }

  #take(client: string, now: number): boolean {
    const recent = (this.#takings.get(client) ?? []).filter(time => isWithin(taken.within, time, now))
    const may = recent.length < taken.most
    if (may) recent.push(now)
    this.#takings.set(client, recent)
    return may
  }
}

function rank(response: TheftResponse): number {
  return theftResponses.indexOf(response)
}

/** Whether less than so many seconds have passed; not when the clock was put back, since nobody knows then. */
function isWithin(seconds: number, since: number, now: number): boolean {
  return now >= since && now - since < seconds
}
