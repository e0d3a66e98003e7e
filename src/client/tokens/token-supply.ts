// The tokens of a client: at level connection one for each channel, else one for all channels of a certificate.
// Got when needed, renewed without a timer when a request finds one old, and asked for by one request at a time.
import { setTimeout as pause } from 'node:timers/promises'
import type { TokenBinding } from '../../core/confirmation.ts'
import { type Backoff, createBackoff, refusalWait } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import type { Credentials } from '../identity.ts'
import type { Issuer } from './issuer.ts'
import type { Token, TokenDemand } from './request-token.ts'

export interface TokenSupply {
  /** A token that is good on this channel now, if there is one. */
  find(channel: BoundChannel): Token | undefined
  /** Gets one. @throws ClientError (rejects). */
  get(channel: BoundChannel): Promise<Token>
  /** Renews the channel's token in the background when it is old; called when a request has ended. */
  renew(channel: BoundChannel): void
  /** Milliseconds until the issuer is asked again, after it failed. */
  left(channel: BoundChannel): number
  /** Forgets a token that a resource refused. */
  discard(token: Token): void
}

export interface SupplyOptions {
  readonly issuer: Issuer
  /** The level of the tokens, where it is known before there is one. */
  readonly level: TokenBinding | undefined
  readonly demand: (credentials: Credentials) => TokenDemand
  readonly onToken: (token: Token) => void
  readonly onProblem: (problem: ClientError) => void
}

interface Slot {
  token: Token | undefined
  pending: Promise<Token> | undefined
  /** Why there is no token until `backoff` is over. */
  problem: ClientError | undefined
  readonly backoff: Backoff
}

export function createTokenSupply(options: SupplyOptions): TokenSupply {
  const { issuer, demand } = options
  const shared = new WeakMap<Credentials, Slot>()
  const own = new WeakMap<BoundChannel, Slot>()
  let { level } = options

  /** Until the first answer shows the level, all channels wait for it together. */
  function slotOf(channel: BoundChannel): Slot {
    return level === 'connection' ? slotIn(own, channel) : slotIn(shared, channel.credentials)
  }

  function request(slot: Slot, channel: BoundChannel): Promise<Token> {
    slot.pending ??= askIssuer(channel).then(
      token => {
        level = token.binding
        for (const place of new Set([slot, slotOf(channel)]))
          Object.assign(place, { pending: undefined, problem: undefined })
        slot.token = undefined
        slotOf(channel).token = token
        slot.backoff.succeeded()
        options.onToken(token)
        return token
      },
      (error: unknown) => {
        const code = error instanceof TypeError ? 'identity_unusable' : 'token_unavailable' // it names no client
        const problem = error instanceof ClientError ? error : new ClientError(code, { cause: error })
        const atMost = namesCertificate(problem.reason) ? refusalWait : undefined
        slot.backoff.failed(problem.retryAfter, atMost)
        Object.assign(slot, { pending: undefined, problem })
        options.onProblem(problem)
        throw problem
      },
    )
    return slot.pending
  }

  /** Async, so that a certificate without a name for the demand is a problem like any other. */
  async function askIssuer(channel: BoundChannel): Promise<Token> {
    return issuer.token(channel, demand(channel.credentials))
  }

  return {
    find(channel) {
      const { token } = slotOf(channel)
      return token !== undefined && ageOf(token) < 1 ? token : undefined
    },

    async get(channel) {
      // Once more when the first answer shows that each channel needs a token of its own.
      for (let turn = 0; turn < 2; turn++) {
        const slot = slotOf(channel)
        if (slot.pending === undefined && slot.problem !== undefined && slot.backoff.left > 0) {
          // What was refused on another connection may be accepted on this one.
          if (!namesCertificate(slot.problem.reason)) throw slot.problem
          await pause(slot.backoff.left)
        }
        const token = await request(slot, channel)
        if (token.binding !== 'connection' || token.channel === channel) return token
      }
      throw new ClientError('token_bound_elsewhere')
    },

    renew(channel) {
      const slot = slotOf(channel)
      if (slot.token === undefined || slot.pending !== undefined || slot.backoff.left > 0 || !channel.open) return
      if (isOld(slot.token)) request(slot, channel).catch(() => {}) // told to onProblem; the old token goes on
    },

    left: channel => slotOf(channel).backoff.left,

    discard(token) {
      const slot = token.binding === 'connection' ? own.get(token.channel) : shared.get(token.channel.credentials)
      if (slot?.token === token) slot.token = undefined
    },
  }
}

/** The part of its lifetime that has passed. */
function ageOf({ askedAt, lifetime }: Token): number {
  return (performance.now() - askedAt) / lifetime
}

/** A fifth of the lifetime, at least five seconds, but never more than half of it: what is left when a token is renewed. */
function isOld(token: Token): boolean {
  const margin = Math.min(Math.max(token.lifetime / 5, 5000), token.lifetime / 2)
  return token.lifetime * (1 - ageOf(token)) < margin
}

function slotIn<Key extends object>(slots: WeakMap<Key, Slot>, key: Key): Slot {
  let slot = slots.get(key)
  if (slot === undefined) {
    slot = { token: undefined, pending: undefined, problem: undefined, backoff: createBackoff() }
    slots.set(key, slot)
  }
  return slot
}
