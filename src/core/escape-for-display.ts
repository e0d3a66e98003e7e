// Text of somebody who may mean harm, to be shown to people.

/**
 * Shows what could end a line, steer a terminal, turn the direction of writing, or stand in no XML document, as the code that
 * it is: `\u{1b}`.
 */
export function escapeForDisplay(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffe\uffff]/gu, c => `\\u{${c.codePointAt(0)?.toString(16)}}`)
}
