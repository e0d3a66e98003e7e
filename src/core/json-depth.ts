// Limits the nesting of untrusted JSON. JSON.parse accepts any depth, but JSON.stringify and structuredClone overflow the stack
// at a few thousand levels. Therefore the text is rejected when it is parsed.

/** The maximum number of nested objects and arrays. */
export const maximumDepth = 100

/** Returns whether a JSON text is nested deeper than `maximumDepth`. The result has no meaning for text that is not JSON. */
export function isTooDeep(text: string): boolean {
  if (text.length <= maximumDepth) return false // each level has a character of its own
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === backslash) at++
      else if (code === quote) inString = false
    } else if (code === quote) inString = true
    else if (code === bracket || code === brace) {
      if (++depth > maximumDepth) return true
    } else if (code === bracket + 2 || code === brace + 2) depth-- // the closing one
  }
  return false
}

const [quote, backslash, bracket, brace] = [0x22, 0x5c, 0x5b, 0x7b] as const
