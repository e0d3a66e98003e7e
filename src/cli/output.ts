// The output of commands: results to stdout, messages and progress to stderr. Messages never contain a token, and
// control characters are escaped.
import { styleText } from 'node:util'
import { escapeForDisplay } from '../core/escape-for-display.ts'
import type { Values } from './command.ts'

/** Writes a result to stdout: with --json as one line of JSON, otherwise as text. */
export function writeResult({ json }: Values, result: unknown, text: string): void {
  process.stdout.write(`${(json === true ? JSON.stringify(result) : text).replace(controls, escapeControl)}\n`)
}

const controls = /[^\n\P{Cc}]|[\u2028\u2029]/gu

function escapeControl(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Writes one line to stderr. */
export function writeMessage(text: string): void {
  clearProgress()
  process.stderr.write(`${escapeForDisplay(text)}\n`)
}

let hasProgress = false

/**
 * Shows progress in the last line of a terminal; each call replaces the line. Does nothing when stderr is not a
 * terminal.
 */
export function showProgress(text: string): void {
  const { isTTY, columns } = process.stderr
  if (isTTY !== true || process.env.TERM === 'dumb') return
  hasProgress = true
  process.stderr.write(`\r\u001b[K${escapeForDisplay(text).slice(0, (columns || 80) - 1)}`)
}

/** Clears the line of `showProgress`. Call it before writing to stdout, which may be the same terminal. */
export function clearProgress(): void {
  if (hasProgress) process.stderr.write('\r\u001b[K')
  hasProgress = false
}

export type Style = 'bold' | 'green' | 'red' | 'yellow' | 'dim'

/** Styles a text where the stream supports it: on a terminal without NO_COLOR, or with FORCE_COLOR. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream, validateStream: true })
}
