// Many attempts of one kind in sequence. A server may close a connection after a refusal, and on a closed connection every
// attempt fails. So each attempt uses an open connection, and a new one if that ends without a response.
import { type Attempt, attempt, isLabError } from './attempt.ts'
import type { Answer, Connection } from './connection.ts'

/**
 * Runs each variant with the result of `open`, and opens again when the server has closed that. A variant is named by
 * its key followed by `when`.
 */
export async function playSeries<Client extends { readonly connection: Connection }, Variant>(
  open: () => Promise<Client>,
  variants: Readonly<Record<string, Variant>>,
  play: (client: Client, variant: Variant) => Promise<Answer>,
  when = '',
): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  let client: Client | undefined
  const playNew = async (variant: Variant) => {
    client = await open()
    return play(client, variant)
  }
  const playOn = (variant: Variant) => {
    if (client?.connection.isOpen() !== true) return playNew(variant)
    return play(client, variant).catch((error: unknown) => {
      if (isLabError(error)) throw error
      return playNew(variant) // the previous attempt may have ended that connection
    })
  }
  for (const [what, variant] of Object.entries(variants))
    attempts.push(await attempt(what + when, () => playOn(variant)))
  return attempts
}
