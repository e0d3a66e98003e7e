// The client that made a request, for formats that name an actor: not the owner of a token that a thief presents.
import type { Facts } from '../event.ts'
import { asText } from './known.ts'

export interface Actor {
  /** The client that made the request, if known. */
  readonly client: string | undefined
  /** The owner of the token, if it is bound to another certificate than the one that presented it. */
  readonly owner: string | undefined
  readonly others: Facts
}

/** Separates the client that made the request from the owner of the token that it presented. */
export function actorOf({ client_id, by, ...others }: Facts): Actor {
  const { bound_to, 'x5t#S256': presented } = others
  const isOthers = bound_to !== undefined && bound_to !== presented
  if (isOthers) return { client: asText(by), owner: asText(client_id), others }
  return { client: asText(client_id), owner: undefined, others: by === undefined ? others : { by, ...others } }
}
