// Which requests of a client are signed: all, if its user says so; else those that the server asks for (RFC 9421 §5.1).
import { signatureTag } from '../../core/signed-request.ts'
import { parseUniqueDictionary } from '../../core/structured-fields.ts'
import type { AnswerHeaders } from '../request/caller.ts'

export interface SignatureDemands {
  /**
   * Returns whether a request is signed. `isStream`: its body would have to be collected first, which is done only at a path
   * that asked for it, because a program may write a stream for as long as it likes.
   */
  isSigned(path: string, isStream: boolean): boolean
  /** Returns whether requests to a path are refused without a signature, as far as it is known. */
  isRequired(path: string): boolean
  /** Remembers what a response asks for. Returns whether it asks for a signature. */
  learn(path: string, status: number, headers: AnswerHeaders): boolean
}

/** How many paths are remembered. Beyond it the oldest is forgotten: a stream there is sent unsigned, and refused once more. */
export const mostSignedPaths = 1000

/** `all`: every request is signed, from the first one on. */
export function createSignatureDemands(all: boolean): SignatureDemands {
  const paths = new Set<string>()
  let asked = false
  const isRequired = (path: string) => all || (asked && paths.has(withoutQuery(path)))
  return {
    // After the first demand every request is signed whose body is at hand. To ask again for each path of a collection would
    // cost a round trip each time.
    isSigned: (path, isStream) => isRequired(path) || (asked && !isStream),
    isRequired,
    learn(path, status, headers) {
      const challenge = headers['accept-signature']
      if (status !== 401 || challenge === undefined || !asksForSignature([challenge].flat().join(', '))) return false
      asked = true
      const name = withoutQuery(path)
      paths.delete(name)
      if (paths.size >= mostSignedPaths) paths.delete(paths.values().next().value as string)
      paths.add(name)
      return true
    },
  }
}

function withoutQuery(path: string): string {
  const end = path.indexOf('?')
  return end < 0 ? path : path.slice(0, end)
}

/** Returns whether the value of Accept-Signature asks for a signature of the form that is known here. */
function asksForSignature(value: string): boolean {
  try {
    const asked = [...parseUniqueDictionary(value).values()]
    return asked.some(([, parameters]) => parameters.get('tag') === signatureTag)
  } catch {
    return false // the response is passed on
  }
}
