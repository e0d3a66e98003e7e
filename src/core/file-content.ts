// Recognizes the content of a file where a path or another short text is expected. It may be a private key, so no message quotes it.

/** Returns whether a text has a line break, a NUL or a PEM header: it is the content of a file, not its path. */
export function isFileContent(text: string): boolean {
  return /-----BEGIN|[\n\r\0]/.test(text)
}

/** Describes such a text without quoting it. */
export function describeFileContent(text: string): string {
  return text.includes('-----BEGIN') ? 'PEM text' : 'a text of several lines'
}
