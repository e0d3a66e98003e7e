// TLS resumption as a thief plays it: with what a connection left behind, and without the private key of its certificate.
// RFC 8446 §2.2 and §4.6.1 (tickets of TLS 1.3), RFC 5077 and RFC 5246 §7.3 (tickets and session ids of TLS 1.2).
import type { Attempt } from './attempt.ts'
import { playSeries } from './series.ts'
import type { Played, Stage } from './stage.ts'
import { type Client, steal } from './thief.ts'

/**
 * Takes what a connection can be resumed with: its ticket or session id, and the secret that belongs to it. On TLS 1.3 the
 * ticket comes after the handshake, so the connection must have had an answer before.
 */
export function stealTicket({ socket }: Played): Buffer | undefined {
  return socket.getSession()
}

export interface Resumption {
  /** Whether the server took the ticket; a connection without any certificate has come of it otherwise. */
  readonly resumed: boolean
  readonly thefts: readonly Attempt[]
}

/** Opens a connection with the ticket of a client alone, uses its token there, and asks for a new one in its name. */
export async function playTicket(stage: Stage, client: Client, session: Buffer | undefined): Promise<Resumption> {
  const loot = steal(stage, client)
  const { tokenEndpoint, resource } = stage.options.profile
  const plays = {
    'the token, with the ticket alone': (thief: Played) => thief.call(stage.resourcePath, loot),
    ...(tokenEndpoint.origin === resource.origin && {
      'a new token, with the ticket alone': (thief: Played) =>
        stage.requestToken(thief, { client_id: stage.cast.alice.clientId }),
    }),
  }
  let resumed = false
  const open = async () => {
    const connection = await stage.connect(null, session && { session })
    resumed ||= connection.socket.isSessionReused()
    return { connection }
  }
  const found = await playSeries(open, plays, ({ connection }, play) => play(connection))
  const how = resumed ? 'resumed' : 'nothing was resumed'
  return { resumed, thefts: found.map(theft => ({ ...theft, seen: `${theft.seen} (${how})` })) }
}
