// The input of a command: a named file, or stdin for -.
import { createReadStream } from 'node:fs'

/** Reads a file or stdin in parts. @throws Error (rejects) that names the file. */
export async function* readChunks(file: string): AsyncGenerator<Buffer> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(file)
  } catch (error) {
    throw new Error(`${nameInput(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}

/** Reads a whole file, or all of stdin. @throws Error (rejects) that names the file. */
export async function readInput(file: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readChunks(file)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Returns the name of an input for messages. */
export function nameInput(file: string): string {
  return file === '-' ? 'stdin' : file
}
