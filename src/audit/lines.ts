// Splits a stream of octets into lines, with at most one line in memory.

export interface Line {
  /** Without the line end. */
  readonly octets: Buffer
  /** Whether the line has a line end; only the last line of a stream may lack it. */
  readonly isEnded: boolean
}

/** Octets of a line that are returned; every event is far shorter. */
const longest = 1_048_576

/** Splits at LF only. A longer line is truncated. */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let length = 0
  const keep = (part: Buffer) => {
    if (length < longest) parts.push(part)
    length += part.length
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      keep(chunk.subarray(start, end))
      yield { octets: Buffer.concat(parts), isEnded: true }
      parts = []
      length = 0
      start = end + 1
    }
    if (start < chunk.length) keep(chunk.subarray(start))
  }
  if (length > 0) yield { octets: Buffer.concat(parts), isEnded: false }
}
