// The binding proofs of a client: one per channel and token, built on first use and sent with each request
// (draft-mw-oauth-tls-session-bound-tokens §3.3).
import type { BoundChannel } from '../connection/channel.ts'
import type { Token } from './request-token.ts'

export interface Proofs {
  /** Returns the proof to send with a token on this channel; undefined where none is needed. */
  find(channel: BoundChannel, token: Token): string | undefined
  /** Discards a proof that a resource refused or required; the next one is new. */
  renew(channel: BoundChannel, token: Token): void
}

export function createProofs(): Proofs {
  const made = new WeakMap<BoundChannel, { readonly token: Token; readonly proof: string }>()
  const missed = new WeakSet<Token>()
  return {
    find(channel, token) {
      if (token.binding !== 'proof' && !missed.has(token)) return undefined
      const last = made.get(channel)
      if (last?.token === token) return last.proof
      const proof = channel.prove(token.value, token.serverTime())
      made.set(channel, { token, proof })
      return proof
    },
    renew(channel, token) {
      made.delete(channel)
      missed.add(token)
    },
  }
}
