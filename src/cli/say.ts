// Talk of a command, on stderr. Never a token, and nothing that others wrote and that could steer a terminal.
import { printable } from '../core/printable.ts'

/** Writes one line to stderr. */
export function say(words: string): void {
  process.stderr.write(`${printable(words)}\n`)
}
