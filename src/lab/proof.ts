// Presents forged and stolen binding proofs with everything else valid. draft-mw-oauth-tls-session-bound-tokens §2.3,
// §3.3.
import { attempt, NotTried } from './attempt.ts'
import type { Evidence } from './scenario.ts'
import { playSeries } from './series.ts'
import type { Stage } from './stage.ts'
import type { Client } from './thief.ts'

/** Builds what is sent instead of a valid proof; undefined: nothing. */
export type Forgery = (client: Client) => Promise<string | undefined> | string | undefined

/** @throws NotTried where tokens need no proof. */
export function requireProofs({ level }: Stage): void {
  if (level !== 'proof') throw new NotTried(`a token at level ${level} needs no proof`)
}

/**
 * Presents each forgery with a token on its own connection: first with a token never proven there, then with a proven
 * one, because a server may cache that.
 */
export async function presentProofs(stage: Stage, forgeries: Readonly<Record<string, Forgery>>): Promise<Evidence> {
  requireProofs(stage)
  const honest = await stage.victim()
  const control = (what: string) => attempt(what, () => stage.use(honest.connection, honest.token))
  const controls = [await control('with its own proof')]
  const prove = async () => {
    const client = await stage.victim()
    await stage.use(client.connection, client.token)
    return client
  }
  const present = async (client: Client, forge: Forgery) => {
    const proof = await forge(client)
    return client.connection.call(stage.resourcePath, { token: client.token, ...(proof !== undefined && { proof }) })
  }
  const thefts = [
    ...(await playSeries(() => stage.victim(), forgeries, present)),
    ...(await playSeries(prove, forgeries, present, ', after a valid one')),
  ]
  return { controls: [...controls, await control('again')], thefts }
}
