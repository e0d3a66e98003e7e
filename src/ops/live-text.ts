// Text that a client has chosen, for a page: short, and without what could be a token. The page shows it as text.

const longest = 120

/** A token of ours or any JWT, whole or cut, wherever somebody has put it. */
const tokens = /eyJ[\w-]+(?:\.[\w-]*)*|tlsbound_[a-z]{2}_\w*/g

/** The text as it may be shown; undefined when it is none. */
export function readable(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const harmless = text.slice(0, 4 * longest).replace(tokens, '(a token)')
  return harmless.length > longest ? `${harmless.slice(0, longest - 1)}…` : harmless
}
