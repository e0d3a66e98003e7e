// A stream of octets as its lines, whatever their number: no more than one of them is held at a time.

export interface Line {
  /** As they stand there, without the end of the line. */
  readonly octets: Buffer
  /** Whether the line has its end; only the last one of a stream may lack it. */
  readonly isEnded: boolean
}

/** Octets of a line that are kept; no event is nearly as long. */
const longest = 1_048_576

/** Splits at LF, and nowhere else. Of a line that is far too long only the beginning is given. */
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
