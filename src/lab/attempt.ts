// One attempt of the lab and its result. A connection that ends without a response counts as refused; a server error
// does not.
import { OutgoingError, type OutgoingProblem } from '../outgoing/failure.ts'
import type { Answer } from './connection.ts'

export interface Attempt {
  /** The description, such as "on a second connection". */
  readonly what: string
  /** `fault`: the server responded with a 5xx, which does not count as refused. */
  readonly result: 'accepted' | 'refused' | 'fault'
  /** The response, such as "401 connection_mismatch". */
  readonly seen: string
}

/** The reason why a scenario could not run. */
export class NotTried extends Error {
  override readonly name = 'NotTried'
}

/**
 * Makes an attempt that ends with a response. A connection that ends without one counts as refused; a request that was
 * never sent does not: it rejects with a TypeError.
 */
export async function attempt(what: string, play: () => Promise<Answer>): Promise<Attempt> {
  try {
    const answer = await play()
    const { status } = answer
    const seen = describeAnswer(answer)
    return { what, result: status >= 500 ? 'fault' : status >= 200 && status < 300 ? 'accepted' : 'refused', seen }
  } catch (error) {
    if (isLabError(error)) throw error
    const { code, message } = (error instanceof OutgoingError ? (error.cause ?? error) : error) as NodeJS.ErrnoException
    return { what, result: 'refused', seen: `no response: ${code ?? message}` }
  }
}

/** Describes a response, such as "401 connection_mismatch". */
export function describeAnswer({ status, body, headers }: Answer): string {
  const challenge = /error="([^"]+)"/.exec(String(headers['www-authenticate'] ?? ''))?.[1]
  return [status, word(body?.reason) ?? word(body?.error) ?? word(challenge)].filter(Boolean).join(' ')
}

/** Returns a short word of a response. Anything else, such as an echoed token, must not get into a report. */
function word(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.:-]{1,40}$/.test(value) ? value : undefined
}

/** Returns whether an error has its cause in the lab, because no request was sent. */
export function isLabError(error: unknown): boolean {
  return error instanceof NotTried || error instanceof TypeError || isLabRefusal(error)
}

/** The lab rejected the server, or could not connect. */
function isLabRefusal(error: unknown): boolean {
  return error instanceof OutgoingError && labProblems.includes(error.code)
}

const labProblems: readonly OutgoingProblem[] = [
  'host_unknown',
  'own_files_unusable',
  'untrusted',
  'outside_validity',
  'name_mismatch',
]
