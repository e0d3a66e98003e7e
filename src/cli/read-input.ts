// What a command is to read: a file, or - for stdin.
import { readFile } from 'node:fs/promises'

/** Reads all of it. Rejects with one sentence that names the file. */
export async function readInput(file: string): Promise<Buffer> {
  try {
    if (file !== '-') return await readFile(file)
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk)
    return Buffer.concat(chunks)
  } catch (error) {
    const name = file === '-' ? 'stdin' : file
    throw new Error(`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}
