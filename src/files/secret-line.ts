// A secret that is one line of a file: the passphrase of a key, the password of a database.
import { readRegularFile } from './file-access.ts'
import { FileProblem, findUtf16, quoteForShell } from './file-problem.ts'

export interface SecretLineOptions {
  /** The maximum size of the file, in octets. */
  readonly most: number
  /** What the line is, for messages. */
  readonly what: 'passphrase' | 'password'
}

/** Loads a secret without its line end, from a file that other users cannot read. @throws FileProblem, which does not quote it. */
export function loadSecretLine(path: string, { most, what }: SecretLineOptions): Buffer {
  const content = readRegularFile(path, { most, isSecret: true })
  const utf16 = findUtf16(content, path)
  if (utf16 !== undefined) throw new FileProblem(path, utf16)
  const secret = content.subarray(0, content.length - (/\r?\n$/.exec(content.toString('latin1'))?.[0].length ?? 0))
  if (secret.length === 0) throw new FileProblem(path, { found: `the file is empty, a ${what} is needed` })
  if (secret.includes('\n'))
    throw new FileProblem(path, {
      found: `the file has several lines, a ${what} of one line is needed`,
      remedy: `remove the others: head -n 1 ${quoteForShell(path)} > NEW-FILE`,
    })
  return secret
}
