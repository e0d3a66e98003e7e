// The tokens of a client: at level connection one per channel, else one per certificate. They are requested on demand,
// by one request at a time, and renewed without a timer when a request finds one old.
import { setTimeout as pause } from 'node:timers/promises'
import type { TokenBinding } from '../../core/confirmation.ts'
import { type Backoff, createBackoff, refusalWait } from '../backoff.ts'
import type { BoundChannel } from '../connection/channel.ts'
import { ClientError, namesCertificate } from '../errors.ts'
import type { Credentials } from '../identity.ts'
import type { Issuer } from './issuer.ts'
import type { Token, TokenDemand } from './request-token.ts'

export interface TokenSupply {
  /** Returns a token that is valid on this channel now, if there is one. */
  find(channel: BoundChannel): Token | undefined
  /** Requests a token. @throws ClientError (rejects). */
  get(channel: BoundChannel): Promise<Token>
  /** Renews the channel's token in the background when it is old. Called at the end of a request. */
  renew(channel: BoundChannel): void
  /** Returns the milliseconds until the next token request, after a failure. */
  left(channel: BoundChannel): number
  /** Discards a token that a resource refused. */
  discard(token: Token): void
}

export interface SupplyOptions {
  readonly issuer: Issuer
  /** The level of the tokens, if it is known in advance. */
  readonly level: TokenBinding | undefined
  readonly demand: (credentials: Credentials) => TokenDemand
  readonly onToken: (token: Token) => void
  readonly onProblem: (problem: ClientError) => void
}

interface Slot {
  token: Token | undefined
  pending: Promise<Token> | undefined
  /** Why there is no token until `backoff` has passed. */
  problem: ClientError | undefined
  readonly backoff: Backoff
}

export function createTokenSupply(options: SupplyOptions): TokenSupply {
  const { issuer, demand } = options
  const shared = new WeakMap<Credentials, Slot>()
  const own = new WeakMap<BoundChannel, Slot>()
  let { level } = options

  /** Until the first response shows the level, all channels share one slot. */
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
        const code = error instanceof TypeError ? 'identity_unusable' : 'token_unavailable' // the certificate names no client
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

  /** Async, so that a certificate without a client name rejects like any other problem. */
  async function askIssuer(channel: BoundChannel): Promise<Token> {
    return issuer.token(channel, demand(channel.credentials))
  }

  return {
    find(channel) {
      const { token } = slotOf(channel)
      return token !== undefined && ageOf(token) < 1 ? token : undefined
    },

    async get(channel) {
      // Tries again when the first response shows that each channel needs its own token.
      for (let turn = 0; turn < 2; turn++) {
        const slot = slotOf(channel)
        if (slot.pending === undefined && slot.problem !== undefined && slot.backoff.left > 0) {
          // A certificate that was refused on another connection may be accepted on this one.
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
      if (isOld(slot.token)) request(slot, channel).catch(() => {}) // reported to onProblem; the old token stays in use
    },

    left: channel => slotOf(channel).backoff.left,

    discard(token) {
      const slot = token.binding === 'connection' ? own.get(token.channel) : shared.get(token.channel.credentials)
      if (slot?.token === token) slot.token = undefined
    },
  }
}

/** Returns the elapsed fraction of a token's lifetime. */
function ageOf({ askedAt, lifetime }: Token): number {
  return (performance.now() - askedAt) / lifetime
}

/** Returns whether less than a fifth of the lifetime is left; at least five seconds, at most half of it. */
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
