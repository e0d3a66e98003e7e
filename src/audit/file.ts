// Where security events are appended, each as a whole line, before the answer that it belongs to is given. Nothing is
// buffered: an event that cannot be written now is not written later either, and its caller hears of it at once.
import { closeSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { readEnd } from './last-line.ts'
import type { EventSink } from './recorder.ts'

export interface EventFile extends EventSink {
  /** Goes on in a new file of this name when the one that it has open was renamed or removed. Never throws. */
  followRename(): void
  /** Once lines could not be written: whether they can be again, so that nobody need be refused to find out. Never throws. */
  retry(): void
}

/** How often a pipe that is full is tried again, and milliseconds before each time: its reader has two seconds, once. */
const attempts = 200
const pause = 10

const endOfLine = 0x0a

/**
 * Opens the file, or standard output where none is named. `onChange` is told the error when lines begin to fail, and
 * undefined when they go again, and must not throw. @throws Error of the system.
 */
export function openEventFile(path: string | undefined, onChange: (error: unknown) => void): EventFile {
  let file: number | undefined = path === undefined ? 1 : open(path)
  const { lastLine, isCut } = path === undefined ? { lastLine: undefined, isCut: false } : readEnd(path)
  /** Whether the last line is cut, by a disk that was full or by a crash: the next one must not be taken for its rest. */
  let cut = isCut
  let failing = false

  function append(line: string): void {
    if (file === undefined) file = reopen()
    // A file that was cut, and then emptied by whoever rotates it, has no piece of a line any longer.
    const bytes = Buffer.from(cut && !isEmpty(file) ? `\n${line}` : line)
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSome(file, bytes.subarray(done), failing ? 1 : attempts)
      } catch (error) {
        // All but its end is there: that is a whole line, to which the next one refers.
        if (done > 0 && done === bytes.length - 1) return
        throw error
      } finally {
        if (done > 0) cut = bytes[done - 1] !== endOfLine
      }
    }
  }

  function reopen(): number {
    const opened = open(path as string)
    cut = readEnd(path as string).isCut
    return opened
  }

  function write(line: string): void {
    try {
      append(line)
    } catch (error) {
      if (!failing) onChange(error)
      failing = true
      throw error
    }
    if (failing) onChange(undefined)
    failing = false
  }

  return {
    lastLine,
    write,
    retry() {
      if (!failing) return
      try {
        // Ends the line that was cut, or opens the file; where there is nothing of that to be done, it is an empty line.
        write(cut || file === undefined ? '' : '\n')
      } catch {}
    },
    followRename() {
      if (path === undefined || file === undefined || isStillAt(path, file)) return
      const old = file
      file = undefined // should it not be there again at once, the next event tries, and is refused where it cannot
      try {
        closeSync(old)
        file = reopen()
      } catch {}
    },
  }
}

function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, 'a', 0o640) // for whoever runs the server, and a group that ships the events
}

function isEmpty(file: number): boolean {
  const status = fstatSync(file)
  return status.isFile() && status.size === 0
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
