// Reads the end of a file of events, before more are appended.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export interface FileEnd {
  /** The last complete line, to which the next one refers; undefined if there is none. */
  readonly lastLine: string | undefined
  /** Whether the file ends within a line: the next line must not be appended to it. */
  readonly isCut: boolean
}

/** Octets at the end of a file that are searched for its last line; every event is far shorter. */
const longest = 131_072

/** Reads the end of a file. Anything else, such as a pipe, has none. @throws Error of the system. */
export function readEnd(path: string): FileEnd {
  const file = openSync(path, 'r')
  try {
    const status = fstatSync(file)
    if (!status.isFile()) return { lastLine: undefined, isCut: false }
    const end = Buffer.alloc(Math.min(status.size, longest))
    readSync(file, end, 0, end.length, status.size - end.length)
    const lines = end.toString().split('\n')
    return { lastLine: lines.findLast(isWhole), isCut: lines.at(-1) !== '' }
  } finally {
    closeSync(file)
  }
}

/** Whether a line is a complete JSON object. A line cut by a crash or a full disk lacks its last brace. */
export function isWhole(line: string): boolean {
  try {
    return line.startsWith('{') && JSON.parse(line) !== undefined
  } catch {
    return false
  }
}
