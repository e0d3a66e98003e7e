// Thieves: what was stolen, and the best equipped one that a level promises to stop. Whoever may do less is not needed
// where that one is refused.
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import { NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Played, Stage } from './stage.ts'

/** A client and its token, which is good on its connection. */
export interface Client {
  readonly connection: Played
  readonly token: string
}

/** What a request brings: a token, and at level proof the proof that came with it when it was stolen. */
export interface Loot {
  readonly token: string
  readonly proof?: string
}

/** What can be read off a client's request, or out of a log of them. */
export function steal({ level }: Stage, { connection, token }: Client): Loot {
  return level === 'proof' ? { token, proof: connection.prove(token) } : { token }
}

/**
 * Opens the connection of a thief: with the certificate and the private key of the client too, unless the level is that of
 * the certificate alone.
 */
export async function openThief(
  stage: Stage,
  options: Partial<ConnectTlsOptions> = {},
): Promise<{ readonly connection: Played }> {
  const who = stage.level === 'certificate' ? findOther(stage) : stage.cast.alice
  return { connection: await stage.connect(who, options) }
}

/** Somebody with another certificate than alice; null when only she is there. */
export function findOther({ cast: { bob, mallory, stranger } }: Stage): Identity | null {
  return bob ?? mallory ?? stranger ?? null
}

/** @throws NotTried when only alice is there. */
export function requireOther(stage: Stage): Identity {
  const other = findOther(stage)
  if (other === null) throw new NotTried('no second identity is there to play the thief')
  return other
}

/** @throws NotTried when no second client is registered. */
export function requireBob({ cast: { bob } }: Stage): Identity {
  if (bob === undefined) throw new NotTried('no second registered client is there')
  return bob
}
