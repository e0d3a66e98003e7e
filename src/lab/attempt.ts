// One thing that the lab tries, and what came of it. A connection that ends without an answer is a refusal as well; an error
// of the server is none.
import { OutgoingError, type OutgoingProblem } from '../outgoing/failure.ts'
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

/**
 * Tries something that ends in an answer. A connection that ends without one is a refusal as well; a request that never
 * left is none: it rejects, as a TypeError.
 */
export async function attempt(what: string, play: () => Promise<Answer>): Promise<Attempt> {
  try {
    const answer = await play()
    const { status } = answer
    const seen = tellAnswer(answer)
    return { what, result: status >= 500 ? 'fault' : status >= 200 && status < 300 ? 'accepted' : 'refused', seen }
  } catch (error) {
    if (isOurs(error)) throw error
    const { code, message } = (error instanceof OutgoingError ? (error.cause ?? error) : error) as NodeJS.ErrnoException
    return { what, result: 'refused', seen: `no answer: ${code ?? message}` }
  }
}

/** Such as "401 connection_mismatch". */
export function tellAnswer({ status, body, headers }: Answer): string {
  const challenge = /error="([^"]+)"/.exec(String(headers['www-authenticate'] ?? ''))?.[1]
  return [status, word(body?.reason) ?? word(body?.error) ?? word(challenge)].filter(Boolean).join(' ')
}

/** A short word of a server's answer. Anything else, such as a token that it sends back, is not for a report. */
function word(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.:-]{1,40}$/.test(value) ? value : undefined
}

/** Whether an error says nothing about the server: it was not asked at all. */
export function isOurs(error: unknown): boolean {
  return error instanceof NotTried || error instanceof TypeError || isOurRefusal(error)
}

/** It was the lab that refused the server, or could not even begin. */
function isOurRefusal(error: unknown): boolean {
  return error instanceof OutgoingError && ourProblems.includes(error.code)
}

const ourProblems: readonly OutgoingProblem[] = [
  'host_unknown',
  'own_files_unusable',
  'untrusted',
  'outside_validity',
  'name_mismatch',
]
