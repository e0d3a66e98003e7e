// Appends security events, each as a whole line, before the response that it belongs to is sent. Nothing is buffered: if an
// event cannot be written, the caller gets the error immediately and the event is not retried.
import { closeSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { endsWithinLine, readEnd } from './last-line.ts'
import type { EventSink } from './recorder.ts'

export interface EventFile extends EventSink {
  /** Opens a new file of this name if the open one was renamed or removed. Never throws. */
  followRename(): void
  /**
   * After a failed write, checks whether writing works again, so that no request has to be refused to find out. Never throws.
   */
  retry(): void
}

/** Attempts to write to a full pipe, and milliseconds before each: its reader gets two seconds, once. */
const attempts = 200
const pause = 10

const endOfLine = 0x0a

/** Octets that one write to a pipe does not mix with those of other processes: PIPE_BUF of Linux (pipe(7)). */
const atomicOnPipe = 4096

/**
 * Opens the file, or standard output if no path is given. `onChange` receives the error when writes begin to fail, and
 * undefined when they succeed again. It must not throw. `isShared`: other processes append to it too, so that each line is one
 * write, and may follow an incomplete line of theirs. @throws Error of the system.
 */
export function openEventFile(
  path: string | undefined,
  onChange: (error: unknown) => void,
  isShared = false,
): EventFile {
  let file: number | undefined = path === undefined ? 1 : open(path, isShared)
  const isRegular = isShared && isRegularFile(file)
  const { lastLine, isCut } = path === undefined ? { lastLine: undefined, isCut: false } : readEnd(path)
  /** Whether the last line is incomplete, after a full disk or a crash: the next line must not be appended to it. */
  let cut = isCut
  let failing = false
  const longest = isShared && !isRegular ? atomicOnPipe : undefined

  function append(line: string): void {
    if (file === undefined) file = reopen()
    if (isRegular && path !== undefined) cut = isCutNow(file)
    // A file that log rotation has emptied since then has no incomplete line.
    const bytes = Buffer.from(cut && !isEmpty(file) ? `\n${line}` : line)
    // Two writes could be mixed with those of other processes.
    if (longest !== undefined && bytes.length > longest) throw new Error(`an event has more than ${longest} octets`)
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSome(file, bytes.subarray(done), failing ? 1 : attempts)
      } catch (error) {
        // Only the line end is missing: the line is complete, and the next one refers to it.
        if (done > 0 && done === bytes.length - 1) return
        throw error
      } finally {
        if (done > 0) cut = bytes[done - 1] !== endOfLine
      }
    }
  }

  function reopen(): number {
    const opened = open(path as string, isShared)
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
    longest,
    write,
    retry() {
      if (!failing) return
      try {
        // Ends an incomplete line, or opens the file; if neither is needed, writes an empty line.
        write(cut || file === undefined ? '' : '\n')
      } catch {}
    },
    followRename() {
      if (path === undefined || file === undefined || isStillAt(path, file)) return
      const old = file
      file = undefined // if the file cannot be opened now, the next event tries again, and its request is refused if that fails
      try {
        closeSync(old)
        file = reopen()
      } catch {}
    },
  }
}

function open(path: string, isShared: boolean): number {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, isShared ? 'a+' : 'a', 0o640) // for the user of the server, and a group that ships the events
}

/** Checks of an incomplete line, and milliseconds between them: the system may be writing it just now. */
const looks = 5
const lookAgainAfter = 1

/** Whether another process has left an incomplete line, after a full disk or a crash. */
function isCutNow(file: number): boolean {
  for (let look = 1; endsWithinLine(file, fstatSync(file).size); look++) {
    if (look === looks) return true
    sleep(lookAgainAfter)
  }
  return false
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function isRegularFile(file: number): boolean {
  return fstatSync(file).isFile()
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
      sleep(pause)
    }
}
