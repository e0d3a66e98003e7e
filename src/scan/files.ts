// The files of a scan: the named ones, and all files below named folders. Below these, links are not followed and only
// regular files are opened, so that a scan terminates and stays within its folders.
import { constants, createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import type { OnProblem, Source } from './sighting.ts'

/** Octets per read. */
const highWaterMark = 65_536

/** Yields the files of a path, which may itself be a link or a pipe. */
export async function* readFiles(path: string, onProblem: OnProblem): AsyncGenerator<Source> {
  try {
    if ((await stat(path)).isDirectory()) {
      for await (const file of walkFiles(Buffer.from(path), onProblem))
        yield { path: describePath(file), parts: readFile(file) }
    } else yield { path, parts: createReadStream(path, { highWaterMark }) }
  } catch (error) {
    onProblem(describeProblem(path, error))
  }
}

/**
 * Lists all files below a folder in octet order, because a path need not be text. `onOther` receives everything that is
 * neither a file nor a folder.
 */
export async function* walkFiles(
  folder: Buffer,
  onProblem: OnProblem,
  onOther: (path: Buffer) => void = () => {},
): AsyncGenerator<Buffer> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch((error: unknown) => {
    onProblem(describeProblem(describePath(folder), error))
    return []
  })
  for (const entry of entries.toSorted((one, other) => Buffer.compare(one.name, other.name))) {
    const path = joinPath(folder, entry.name)
    if (entry.isDirectory()) yield* walkFiles(path, onProblem, onOther)
    else if (entry.isFile()) yield path
    else onOther(path)
  }
}

function joinPath(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from(folder.at(-1) === slash ? '' : '/'), name])
}

const slash = 0x2f

/** Opens a file that may have been replaced meanwhile: a link fails, and a pipe is at its end. */
async function* readFile(path: Buffer): AsyncGenerator<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  yield* file.createReadStream({ highWaterMark })
}

/** Converts a path to text. In a path that is not UTF-8, each non-ASCII octet becomes `\xe9`. */
export function describePath(path: Buffer): string {
  const text = path.toString()
  return Buffer.from(text).equals(path)
    ? text
    : path.toString('latin1').replace(/[\u0080-\u00ff]/g, c => `\\x${c.charCodeAt(0).toString(16)}`)
}

/** Describes an error in one sentence. */
export function describeProblem(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return `${path} cannot be read (${code ?? message})`
}
