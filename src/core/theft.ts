// When a refusal is the alarm: a token that is really ours came from where it does not belong. What follows, and how often,
// so that nobody who sprays a stolen token can lock its owner out with it.
import { type TheftResponse, theftResponses } from './client.ts'
import type { Reason } from './errors.ts'

/**
 * How sure it is that somebody else holds the token. `certain`: another certificate, or none. `possible`: its own client may
 * have caused it, after a reconnect or with a renewed certificate.
 */
export type Suspicion = 'certain' | 'possible'

const suspicions: Partial<Record<Reason, Suspicion>> = {
  no_certificate: 'certain',
  certificate_untrusted: 'certain',
  certificate_mismatch: 'certain',
  refresh_unknown: 'certain',
  refresh_reused: 'certain',
  connection_mismatch: 'possible',
  refresh_certificate_mismatch: 'possible',
}

/** What a refusal of a token that is really ours says about who holds it; undefined: nothing. */
export function suspect(reason: Reason): Suspicion | undefined {
  return suspicions[reason]
}

/** What is done at most: a client that makes mistakes must not lose its grants by them. */
const most: Readonly<Record<Suspicion, TheftResponse>> = { certain: 'close', possible: 'revoke_token' }

/** How many signals about one token, in a minute, are none yet. */
const patience: Readonly<Record<Suspicion, number>> = { certain: 0, possible: 2 }

/** Seconds in which equal signals are one, and in which patience counts. */
const memory = 60

/** How often in ten minutes something is taken from one client; beyond that there is only the alarm. */
const taken = { most: 3, within: 600 }

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
   * A token of `client`, by its `jti` or grant, came from where it does not belong; `policy` is what the client is registered
   * for. undefined: nothing follows now. `now` in seconds since 1970.
   */
  judge(token: string, client: string, suspicion: Suspicion, policy: TheftResponse, now: number): Verdict | undefined {
    const seen = this.#watch(`${suspicion} ${token}`, now)
    seen.signals++
    if (policy === 'record' || seen.signals <= patience[suspicion]) return undefined
    if (seen.unheard !== undefined) {
      seen.unheard++
      return undefined
    }
    seen.unheard = 0
    const wanted = theftResponses[Math.min(rank(policy), rank(most[suspicion]))] as TheftResponse
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
