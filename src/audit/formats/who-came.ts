// Whom an event is about, for forms that want to know who did it: not the client whose token a thief has brought.
import type { Facts } from '../event.ts'
import { asText } from './known.ts'

export interface WhoCame {
  /** The client that came, as far as it is known. */
  readonly client: string | undefined
  /** Whose token it was, when that is bound to another certificate than came with it. */
  readonly owner: string | undefined
  readonly others: Facts
}

/** Tells the client that came from the owner of the token that came along. */
export function readWhoCame({ client_id, by, ...others }: Facts): WhoCame {
  const { bound_to, 'x5t#S256': presented } = others
  const isOthers = bound_to !== undefined && bound_to !== presented
  if (isOthers) return { client: asText(by), owner: asText(client_id), others }
  return { client: asText(client_id), owner: undefined, others: by === undefined ? others : { by, ...others } }
}
