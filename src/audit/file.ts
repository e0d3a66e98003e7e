// Where security events are appended, each as a whole line, before the answer that it belongs to is given. Nothing is
// buffered: an event that cannot be written now is not written later either, and its caller hears of it at once.
import { closeSync, fstatSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { EventSink } from './recorder.ts'

export interface EventFile extends EventSink {
  /** Goes on in a new file of this name when the one that it has open was renamed or removed. Never throws. */
  followRename(): void
}

/** How often a pipe that is full is tried again, and milliseconds before each time: its reader has two seconds, once. */
const attempts = 200
const pause = 10

/** Octets at the end of a file in which its last line is looked for; none of ours is longer. */
const longestLine = 65_536

/**
 * Opens the file, or standard output where none is named. `onChange` is told the error when lines begin to fail, and
 * undefined when they go again. @throws Error of the system.
 */
export function openEventFile(path: string | undefined, onChange: (error: unknown) => void): EventFile {
  let file: number | undefined = path === undefined ? 1 : open(path)
  const { lastLine, isCut } = path === undefined ? nothing : readEnd(path)
  /** Whether the last line is cut, by a disk that was full or by a crash: the next one must not be taken for its rest. */
  let cut = isCut
  let failing = false

  function append(line: string): void {
    if (file === undefined) file = reopen()
    const bytes = Buffer.from(cut ? `\n${line}` : line)
    for (let written = 0; written < bytes.length; ) {
      written += writeSome(file, bytes.subarray(written), failing ? 1 : attempts)
      cut = written < bytes.length
    }
  }

  function reopen(): number {
    const opened = open(path as string)
    cut = readEnd(path as string).isCut
    return opened
  }

  return {
    lastLine,
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
    followRename() {
      if (path === undefined || file === undefined || isStillAt(path, file)) return
      closeSync(file)
      file = undefined // should it not be there again at once, the next event tries, and is refused where it cannot
      try {
        file = reopen()
      } catch {}
    },
  }
}

function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, 'a')
}

function isStillAt(path: string, file: number): boolean {
  try {
    const [there, own] = [statSync(path), fstatSync(file)]
    return there.ino === own.ino && there.dev === own.dev
  } catch {
    return false
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

const nothing: { readonly lastLine: string | undefined; readonly isCut: boolean } = {
  lastLine: undefined,
  isCut: false,
}

/** The last whole line of a file, and whether a piece of another one follows it. */
function readEnd(path: string): typeof nothing {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const end = Buffer.alloc(Math.min(size, 2 * longestLine))
    readSync(file, end, 0, end.length, size - end.length)
    const lines = end.toString().split('\n')
    const rest = lines.pop()
    return { lastLine: findLast(lines), isCut: rest !== undefined && rest !== '' }
  } finally {
    closeSync(file)
  }
}

/** The last line that was not cut by a crash before. */
function findLast(lines: readonly string[]): string | undefined {
  return lines.findLast(line => line.startsWith('{') && line.endsWith('}'))
}
