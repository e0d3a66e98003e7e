// TLS resumption by a thief: with the state of a connection, but without the private key of its certificate.
// RFC 8446 §2.2 and §4.6.1 (tickets of TLS 1.3), RFC 5077 and RFC 5246 §7.3 (tickets and session ids of TLS 1.2).
import type { Attempt } from './attempt.ts'
import { playSeries } from './series.ts'
import type { Played, Stage } from './stage.ts'
import { type Client, steal } from './thief.ts'

/**
 * Returns the resumption state of a connection: its ticket or session id with the secret. In TLS 1.3 the server sends the
 * ticket after the handshake, so the connection must have received a response before.
 */
export function stealTicket({ socket }: Played): Buffer | undefined {
  return socket.getSession()
}

export interface Resumption {
  /** Whether the server accepted the ticket; otherwise the connection has no client certificate. */
  readonly resumed: boolean
  readonly thefts: readonly Attempt[]
}

/** Opens a connection with only the ticket of a client, uses its token there, and requests a new one in its name. */
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
  const how = resumed ? 'resumed' : 'not resumed'
  return { resumed, thefts: found.map(theft => ({ ...theft, seen: `${theft.seen} (${how})` })) }
}
