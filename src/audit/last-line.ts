// Reads the end of a file of events, before more are appended.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export interface FileEnd {
  /** The last complete line of the main chain, to which the next one refers; undefined if there is none. */
  readonly lastLine: string | undefined
  /** Whether the file ends within a line: the next line must not be appended to it. */
  readonly isCut: boolean
}

/** Octets that are read at once; every event is far shorter. */
const portion = 131_072

const endOfLine = 0x0a

/** Reads the end of a file. Anything else, such as a pipe, has none. @throws Error of the system. */
export function readEnd(path: string): FileEnd {
  const file = openSync(path, 'r')
  try {
    const status = fstatSync(file)
    if (!status.isFile()) return { lastLine: undefined, isCut: false }
    return { lastLine: findLast(file, status.size, isOfMainChain), isCut: endsWithinLine(file, status.size) }
  } finally {
    closeSync(file)
  }
}

/** Octets at the end of a file that are searched for the last line of a worker, which has just died: about 0.1 s. */
const mostOfWorker = 67_108_864

/**
 * Returns the last complete line of a worker, by the name of its chain, or the line that announces it. Undefined: there is none
 * near the end, or the file is none.
 */
export function readLastOf(path: string, writer: string): string | undefined {
  const file = openSync(path, 'r')
  try {
    const status = fstatSync(file)
    const names = [`"writer":"${writer}"`, `"chain_of":"${writer}"`]
    const matches = (line: string) => names.some(name => line.includes(name))
    return status.isFile() ? findLast(file, status.size, matches, mostOfWorker) : undefined
  } finally {
    closeSync(file)
  }
}

/** Whether a file of this size ends within a line. */
export function endsWithinLine(file: number, size: number): boolean {
  if (size === 0) return false
  const octet = Buffer.alloc(1)
  readSync(file, octet, 0, 1, size - 1)
  return octet[0] !== endOfLine
}

/**
 * Finds the last complete line that matches. Workers may have written any number of lines after it, so that the search goes
 * back to the beginning. Only two portions are in memory.
 */
function findLast(file: number, size: number, matches: (line: string) => boolean, most = size): string | undefined {
  let rest: Buffer = Buffer.alloc(0)
  for (let start = size; start > 0 && size - start < most; ) {
    const length = Math.min(portion, start)
    start -= length
    const read = Buffer.alloc(length)
    readSync(file, read, 0, length, start)
    const text = Buffer.concat([read, rest])
    const first = start === 0 ? 0 : text.indexOf(endOfLine) + 1
    if (start > 0 && first === 0) {
      rest = text.subarray(0, portion) // no event is this long: it is something else
      continue
    }
    rest = text.subarray(0, first)
    const found = text
      .subarray(first)
      .toString()
      .split('\n')
      .findLast(line => matches(line) && isWhole(line))
    if (found !== undefined) return found
  }
  return undefined
}

/** JSON escapes quotation marks, so that no value contains this text. */
function isOfMainChain(line: string): boolean {
  return !line.includes('"writer":"')
}

/** Whether a line is a complete JSON object. A line cut by a crash or a full disk lacks its last brace. */
export function isWhole(line: string): boolean {
  try {
    return line.startsWith('{') && JSON.parse(line) !== undefined
  } catch {
    return false
  }
}
