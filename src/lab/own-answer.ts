// Requests that are valid for the thief and contain stolen credentials as well. It is a theft only if the server identifies
// the thief as the victim, which its response shows.
import { type Attempt, attempt } from './attempt.ts'
import type { Answer } from './connection.ts'

/** Makes the attempt. A response equal to `own` means that the thief got only their own data. */
export async function impersonate(what: string, own: Answer, play: () => Promise<Answer>): Promise<Attempt> {
  let isOwn = false
  const found = await attempt(what, async () => {
    const answer = await play()
    isOwn = isSame(answer, own)
    return answer
  })
  return isOwn ? { ...found, result: 'refused', seen: `${found.seen} (the thief's own data)` } : found
}

/** Returns whether two responses are equal, so that they do not show which client the server identified. */
export function isSame(one: Answer, other: Answer): boolean {
  return one.status === other.status && one.text === other.text
}
