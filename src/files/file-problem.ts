// An error in a file: its position, the finding, and a remedy. Never contains the content of the file.
import { describeFileContent, isFileContent } from '../core/file-content.ts'

export interface Finding {
  /** The position in the file, such as `line 3`; undefined for the whole file. */
  readonly position?: string | undefined
  readonly found: string
  /** The remedy, often a command. */
  readonly remedy?: string | undefined
}

/**
 * The error of all functions that read files. The message has the form `FILE, line N: FOUND; REMEDY`. A text that is the content of
 * a file in the place of its path is described, not quoted.
 */
export class FileProblem extends Error {
  override readonly name = 'FileProblem'
  readonly file: string
  readonly finding: Finding

  constructor(path: string, finding: Finding) {
    const { position, found, remedy } = finding
    const file = isFileContent(path) ? describeFileContent(path) : path
    const where = position === undefined ? file : `${file}, ${position}`
    super(`${where}: ${found}${remedy === undefined ? '' : `; ${remedy}`}`)
    this.file = file
    this.finding = finding
  }
}

/** Quotes the name of a file as one word of a shell command. */
export function quoteForShell(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Detects UTF-16 by its byte-order mark, or by the NUL in each of the first two characters. */
export function findUtf16(content: Buffer, file: string): Finding | undefined {
  const isMarked = content.subarray(0, 2).equals(littleEndian) || content.subarray(0, 2).equals(bigEndian)
  const nuls = [...content.subarray(0, 4)].map(octet => (octet === 0 ? '0' : 'x')).join('')
  if (!isMarked && nuls !== 'x0x0' && nuls !== '0x0x') return undefined
  const from = isMarked ? 'UTF-16' : nuls === 'x0x0' ? 'UTF-16LE' : 'UTF-16BE'
  return {
    found: 'this is UTF-16 text, UTF-8 is needed',
    remedy: `convert it: iconv -f ${from} -t UTF-8 ${quoteForShell(file)} > NEW-FILE`,
  }
}

const littleEndian = Buffer.from([0xff, 0xfe])
const bigEndian = Buffer.from([0xfe, 0xff])
