// Thieves: the stolen credentials, and the most powerful thief that a level promises to stop. A weaker thief need not
// be tried where that one is refused.
import type { ConnectTlsOptions } from '../outgoing/connect.ts'
import { NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Played, Stage } from './stage.ts'

/** A client and its token, which is valid on its connection. */
export interface Client {
  readonly connection: Played
  readonly token: string
}

/** The stolen part of a request: a token, and at level proof the proof sent with it. */
export interface Loot {
  readonly token: string
  readonly proof?: string
}

/** Returns what can be read from a client's request or a log of it. */
export function steal({ level }: Stage, { connection, token }: Client): Loot {
  return level === 'proof' ? { token, proof: connection.prove(token) } : { token }
}

/**
 * Opens the connection of a thief, with the certificate and the private key of the client unless the level is
 * certificate.
 */
export async function openThief(
  stage: Stage,
  options: Partial<ConnectTlsOptions> = {},
): Promise<{ readonly connection: Played }> {
  const who = stage.level === 'certificate' ? findOther(stage) : stage.cast.alice
  return { connection: await stage.connect(who, options) }
}

/** Returns an identity with another certificate than alice; null without one. */
export function findOther({ cast: { bob, mallory, stranger } }: Stage): Identity | null {
  return bob ?? mallory ?? stranger ?? null
}

/** @throws NotTried without a second identity. */
export function requireOther(stage: Stage): Identity {
  const other = findOther(stage)
  if (other === null) throw new NotTried('there is no second identity for the thief')
  return other
}

/** @throws NotTried without a second registered client. */
export function requireBob({ cast: { bob } }: Stage): Identity {
  if (bob === undefined) throw new NotTried('there is no second registered client')
  return bob
}
