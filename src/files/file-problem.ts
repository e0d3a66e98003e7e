// What is wrong with a file that was read: where, what was found there, and how to mend it. Never what the file holds.

export interface Finding {
  /** Where in the file, such as `line 3`; undefined for the file as a whole. */
  readonly position?: string | undefined
  readonly found: string
  /** What to do, often a command. */
  readonly remedy?: string | undefined
}

/** Thrown by every reader of a file. The message is one sentence: `FILE, line N: FOUND; REMEDY`. */
export class FileProblem extends Error {
  override readonly name = 'FileProblem'
  readonly file: string
  readonly finding: Finding

  constructor(file: string, finding: Finding) {
    const { position, found, remedy } = finding
    const where = position === undefined ? file : `${file}, ${position}`
    super(`${where}: ${found}${remedy === undefined ? '' : `; ${remedy}`}`)
    this.file = file
    this.finding = finding
  }
}

/** Returns the name of a file as one word of a shell command. */
export function quoteForShell(path: string): string {
  const word = path.startsWith('-') ? `./${path}` : path
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** Finds UTF-16, by its byte-order mark or by the NUL in each of the first two characters. */
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
