/**
 * Escapes untrusted text for display, as in `\u{1b}`: line ends, terminal control characters, direction marks, and characters
 * that are not allowed in XML.
 */
export function escapeForDisplay(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffe\uffff]/gu, c => `\\u{${c.codePointAt(0)?.toString(16)}}`)
}
