// The files of a scan: those that are named, and all below the folders that are named. Below these no link is followed, and
// nothing is opened that is not a file, so that a scan ends and stays where it was sent.
import { constants, createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { OnProblem, Source } from './sighting.ts'

/** Octets that are read at once. */
const highWaterMark = 65_536

/** Gives the files of a path, which may itself be a link, or a pipe. */
export async function* readFiles(path: string, onProblem: OnProblem): AsyncGenerator<Source> {
  try {
    if ((await stat(path)).isDirectory()) yield* readFolder(path, onProblem)
    else yield { path, parts: createReadStream(path, { highWaterMark }) }
  } catch (error) {
    onProblem(describeProblem(path, error))
  }
}

async function* readFolder(folder: string, onProblem: OnProblem): AsyncGenerator<Source> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    onProblem(describeProblem(folder, error))
    return []
  })
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* readFolder(path, onProblem)
    else if (entry.isFile()) yield { path, parts: readFile(path) }
  }
}

/** By the time it is opened it may have become something else: a link fails then, and a pipe is at its end. */
async function* readFile(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  yield* file.createReadStream({ highWaterMark })
}

/** One sentence. */
export function describeProblem(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return `${path} cannot be read (${code ?? message})`
}
