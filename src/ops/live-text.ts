// Text that a client has chosen, for a page: short, without what could be a token, and without what could turn the words
// beside it round. The page shows it as text.
import { blotTokens } from '../core/leak-report.ts'
import { printable } from '../core/printable.ts'

const longest = 120

/** The text as it may be shown; undefined when it is none. */
export function readable(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const harmless = printable(blotTokens(text.slice(0, 4 * longest)))
  return harmless.length > longest ? `${harmless.slice(0, longest - 1)}…` : harmless
}
