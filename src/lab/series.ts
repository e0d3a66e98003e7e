// Many attempts of one kind, one after another. A server may end a connection with a refusal, and on a connection that has
// ended everything looks refused: so each attempt gets one that is open, and where that ends without an answer another one.
import { type Attempt, attempt, isOurs } from './attempt.ts'
import type { Answer, Connection } from './connection.ts'

/**
 * Plays each variant with what `open` gives, and with what it gives next where the server has ended that. A variant is named
 * by its words, with `when` behind them.
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
      if (isOurs(error)) throw error
      return playNew(variant) // that connection may have been ending since the attempt before
    })
  }
  for (const [what, variant] of Object.entries(variants))
    attempts.push(await attempt(what + when, () => playOn(variant)))
  return attempts
}
