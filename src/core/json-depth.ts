// How deep foreign JSON may be nested. JSON.parse accepts any depth, but JSON.stringify and structuredClone overflow the stack
// at some thousands, wherever the value is written later: so it is refused where it is read.

/** Objects and arrays inside each other. */
export const maximumDepth = 100

/** Whether a JSON text is nested deeper than `maximumDepth`. Of a text that is not JSON the answer means nothing. */
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
