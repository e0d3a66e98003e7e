// Where security events are appended, each as a whole line, before the answer that it belongs to is given. Nothing is
// buffered: an event that cannot be written now is not written later either, and its caller hears of it at once.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export interface EventStream {
  /** @throws Error of the system when the line cannot be written. */
  write(line: string): void
}

/** How often a pipe that is full is tried again, and milliseconds before each time: its reader has two seconds, once. */
const attempts = 200
const pause = 10

/**
 * Opens the file, or standard output where none is named. `onChange` is told the error when lines begin to fail, and
 * undefined when they go again. @throws Error of the system.
 */
export function openEventStream(path: string | undefined, onChange: (error: unknown) => void): EventStream {
  if (path !== undefined) mkdirSync(dirname(path), { recursive: true })
  const file = path === undefined ? 1 : openSync(path, 'a')
  /** Whether the last line is cut, by a disk that was full or by a crash: the next one must not be taken for its rest. */
  let cut = path !== undefined && endsWithinLine(path)
  let failing = false

  function append(line: string): void {
    const bytes = Buffer.from(cut ? `\n${line}` : line)
    for (let written = 0; written < bytes.length; ) {
      written += writeSome(file, bytes.subarray(written), failing ? 1 : attempts)
      cut = written < bytes.length
    }
  }

  return {
    write(line) {
      try {
        append(line)
      } catch (error) {
        if (!failing) onChange(error)
        failing = true
        throw error
      }
      if (failing) onChange(undefined)
      failing = false
    },
  }
}

function writeSome(file: number, bytes: Buffer, limit: number): number {
  for (let attempt = 1; ; attempt++)
    try {
      return writeSync(file, bytes)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || attempt === limit) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause)
    }
}

function endsWithinLine(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const last = Buffer.alloc(1)
    return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a
  } finally {
    closeSync(file)
  }
}
