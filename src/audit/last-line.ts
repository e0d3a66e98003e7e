// The end of a file of events, as whoever goes on writing there has to know it.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export interface FileEnd {
  /** The last line that is whole: the next one refers to it. undefined: there is none. */
  readonly lastLine: string | undefined
  /** Whether the file ends within a line: the next one must not be taken for its rest. */
  readonly isCut: boolean
}

/** Octets at the end of a file in which its last line is looked for; none of ours is nearly as long. */
const longest = 131_072

/** Reads the end of a file; what is no file, such as a pipe, has none. @throws Error of the system. */
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

/** Whether a line is one object. None that was cut, by a crash or a disk that was full, is one: its last brace is missing. */
export function isWhole(line: string): boolean {
  try {
    return line.startsWith('{') && JSON.parse(line) !== undefined
  } catch {
    return false
  }
}
