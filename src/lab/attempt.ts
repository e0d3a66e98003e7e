// One thing that the lab tries, and what came of it. A connection that ends without an answer is a refusal as well; an error
// of the server is none.
import type { Answer } from './connection.ts'

export interface Attempt {
  /** Such as "on a second connection". */
  readonly what: string
  /** `fault`: the server answered with a 5xx, which is no refusal. */
  readonly result: 'accepted' | 'refused' | 'fault'
  /** Such as "401 connection_mismatch". */
  readonly seen: string
}

/** Says why a scenario could not be played. */
export class NotTried extends Error {
  override readonly name = 'NotTried'
}

/** Tries something that ends in an answer. A connection that ends without one is a refusal as well. */
export async function attempt(what: string, play: () => Promise<Answer>): Promise<Attempt> {
  try {
    const { status, body, headers } = await play()
    const challenge = /error="([^"]+)"/.exec(String(headers['www-authenticate'] ?? ''))?.[1]
    const seen = [status, body?.reason ?? body?.error ?? challenge].filter(part => part !== undefined).join(' ')
    return { what, result: status >= 500 ? 'fault' : status >= 200 && status < 300 ? 'accepted' : 'refused', seen }
  } catch (error) {
    if (error instanceof NotTried) throw error
    const { code, message } = error as NodeJS.ErrnoException
    return { what, result: 'refused', seen: `no answer: ${code ?? message}` }
  }
}
