// Writes events down, one line each, and chains them: each line carries the hash of the line before it, so that none can be
// changed, taken out or put elsewhere unseen (`tlsbound audit verify`).
import { hash } from 'node:crypto'
import type { RecordEvent, SecurityEvent } from './event.ts'

/** An event as the object that is written; `chain` has its place in it. */
export type Format = (event: SecurityEvent, chain: string) => object

export interface EventSink {
  /** The last whole line that was written before, without its end; undefined: there is none to be seen. */
  readonly lastLine?: string | undefined
  /** Takes one line with its end. @throws Error of the system when it cannot be written. */
  write(line: string): void
}

/** What stands in the place of the hash where no line is known to come before: that of nothing. */
export const chainStart = hashLine('')

/** base64url(SHA-256(line)), the line as its octets are in UTF-8, without its end. */
export function hashLine(line: string | Buffer): string {
  return hash('sha256', line, 'base64url')
}

/** Events go to `sink` in this form, after the lines that are there. */
export function createRecorder(sink: EventSink, format: Format): RecordEvent {
  let chain = sink.lastLine === undefined ? chainStart : hashLine(sink.lastLine)
  return event => {
    const line = escapeControls(JSON.stringify(format(event, chain)))
    sink.write(`${line}\n`)
    chain = hashLine(line)
  }
}

/** JSON lets these stand raw, but a terminal or a line reader may take them for more than text, or write backwards. */
function escapeControls(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
