// Writes events, one line each, as a hash chain: each line contains the hash of the line before it. `tlsbound audit verify`
// finds lines that were changed, removed or moved.
import { hash } from 'node:crypto'
import type { RecordEvent, SecurityEvent } from './event.ts'

/** Builds the object that is written for an event, with `chain` as a member. */
export type Format = (event: SecurityEvent, chain: string) => object

export interface EventSink {
  /** The last complete line of the file, without its line end; undefined if there is none. */
  readonly lastLine?: string | undefined
  /** Octets of the longest line with its end that is written as a whole; undefined: every line is. */
  readonly longest?: number | undefined
  /** Writes one line with its end. @throws Error of the system when it cannot be written. */
  write(line: string): void
}

/** The hash that the first line refers to: that of the empty string. */
export const chainStart = hashLine('')

/** Returns base64url(SHA-256(line)) over the UTF-8 octets of the line without its end. */
export function hashLine(line: string | Buffer): string {
  return hash('sha256', line, 'base64url')
}

/** The chain of one of several processes that append to one file. */
export interface Writer {
  /** Identifies it in each of its lines. */
  readonly id: string
  /** The hash that its first line refers to: that of the line that announces it. */
  readonly chain: string
}

/** A function that appends events. `end` returns the hash that the next line refers to. */
export type Recorder = RecordEvent & { readonly end: () => string }

/** Returns a function that appends events to `sink` in this format, after the existing lines, or as the chain of `writer`. */
export function createRecorder(sink: EventSink, format: Format, writer?: Writer): Recorder {
  let chain = writer?.chain ?? (sink.lastLine === undefined ? chainStart : hashLine(sink.lastLine))
  const render = (event: SecurityEvent) =>
    escapeControls(JSON.stringify(format(writer === undefined ? event : { ...event, writer: writer.id }, chain)))
  const record: RecordEvent = event => {
    let line = render(event)
    // The compared values are what a client can make long. The event itself is never left out.
    if (sink.longest !== undefined && Buffer.byteLength(line) >= sink.longest) line = render(withoutFacts(event))
    sink.write(`${line}\n`)
    chain = hashLine(line)
  }
  return Object.assign(record, { end: () => chain })
}

function withoutFacts({ facts: _facts, ...event }: SecurityEvent): SecurityEvent {
  return event
}

/**
 * JSON allows these characters unescaped, but terminals and line readers may interpret them, for instance as a change of
 * direction.
 */
function escapeControls(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
