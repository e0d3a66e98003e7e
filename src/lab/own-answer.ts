// Requests that are good as oneself, with something stolen beside: it is a theft only if the server takes them for those
// of its victim. What it answers to whom tells.
import { type Attempt, attempt } from './attempt.ts'
import type { Answer } from './connection.ts'

/** Plays it. Answered as `own` was, the thief has got nothing but their own. */
export async function impersonate(what: string, own: Answer, play: () => Promise<Answer>): Promise<Attempt> {
  let isOwn = false
  const found = await attempt(what, async () => {
    const answer = await play()
    isOwn = isSame(answer, own)
    return answer
  })
  return isOwn ? { ...found, result: 'refused', seen: `${found.seen} as themselves` } : found
}

/** Whether nobody could tell from these answers whom the server took its client for. */
export function isSame(one: Answer, other: Answer): boolean {
  return one.status === other.status && one.text === other.text
}
