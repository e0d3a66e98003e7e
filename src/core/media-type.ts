// Parses a Content-Type header (RFC 9110 §8.3.1, §5.6.6).

export interface MediaType {
  /** `type/subtype` in lower case. */
  readonly essence: string
  /** The values of all charset parameters, in lower case. Other parameters have no meaning for the supported types. */
  readonly charsets: readonly string[]
}

const essenceForm = /^[ \t]*([\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+)[ \t]*/
/** A semicolon and an optional parameter. No whitespace around the equals sign. */
const parameterForm =
  /;[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=([\w!#$%&'*+.^`|~-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?[ \t]*/y

/** Parses a Content-Type. Returns undefined unless it is one media type with well-formed parameters. */
export function parseMediaType(text: string): MediaType | undefined {
  const [start, essence] = essenceForm.exec(text) ?? []
  if (start === undefined || essence === undefined) return undefined
  const charsets: string[] = []
  parameterForm.lastIndex = start.length
  while (parameterForm.lastIndex < text.length) {
    const [, name, value] = parameterForm.exec(text) ?? []
    if (parameterForm.lastIndex === 0) return undefined // no match
    if (name?.toLowerCase() === 'charset') charsets.push(unquote(value as string).toLowerCase())
  }
  return { essence: essence.toLowerCase(), charsets }
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/gs, '$1') : value
}

/** Returns whether the charset is UTF-8 or its subset ASCII. */
export function isAsciiOrUtf8(charset: string): boolean {
  return charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii'
}
