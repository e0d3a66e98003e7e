// Finds the folders of objects and the refs of a git repository, without git and without reading the configuration of the
// repository. Never waits for a file that blocks, and never reads an endless one.
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { describePath, describeProblem, walkFiles } from './files.ts'
import type { OnProblem } from './sighting.ts'

/** The maximum size of a file in octets. A `packed-refs` with a hundred thousand refs has 8 MB. */
const maximumFile = 67_108_864

/** The maximum number of object folders of one repository. */
const maximumStores = 100

/** Finds the git folder of the repository that contains `folder`. Rejects with one sentence without a repository. */
export async function findGitFolder(folder: string): Promise<string> {
  for (let at = await realpath(folder); ; at = dirname(at)) {
    const found = (await followGitFile(join(at, '.git'))) ?? ((await isGitFolder(at)) ? at : undefined)
    if (found !== undefined) {
      const common = await readSmallFile(join(found, 'commondir')) // of a linked working tree
      return common === undefined ? found : resolve(found, common.toString().trimEnd())
    }
    if (at === dirname(at)) throw new Error('it is not in a git repository')
  }
}

/** Resolves `.git`: the folder itself, or in a linked working tree and in a submodule a file that names it. */
async function followGitFile(path: string): Promise<string | undefined> {
  if (await isGitFolder(path)) return path
  const target = /^gitdir: (.+)/.exec((await readSmallFile(path))?.toString() ?? '')?.[1]
  return target === undefined ? undefined : resolve(dirname(path), target)
}

async function isGitFolder(path: string): Promise<boolean> {
  const has = (name: string) => exists(join(path, name))
  return (await has('HEAD')) && ((await has('objects')) || (await has('commondir')))
}

/** Finds the object folders of a repository: its own, and those of its alternates (gitrepository-layout). */
export async function findStores(gitFolder: string, onProblem: OnProblem): Promise<string[]> {
  const stores = new Set([join(gitFolder, 'objects')])
  for (const store of stores) {
    const alternates = await readOrReport(join(store, 'info', 'alternates'), onProblem)
    for (const line of alternates.toString().split('\n'))
      if (line !== '' && !line.startsWith('#')) stores.add(resolve(store, line))
    if (stores.size > maximumStores) {
      onProblem(`${gitFolder} has more than ${maximumStores} object folders; the others were not searched`)
      break
    }
  }
  return [...stores]
}

export interface Refs {
  /** The object id of each ref by its name; undefined for a symbolic ref. */
  readonly named: ReadonlyMap<string, string | undefined>
  /** Other object ids: in HEAD, FETCH_HEAD and similar files, and in the reflogs. */
  readonly others: ReadonlySet<string>
}

/** Reads the refs of a repository and of its linked working trees. */
export async function readRefs(gitFolder: string, onProblem: OnProblem): Promise<Refs> {
  const named = new Map<string, string | undefined>()
  const others = new Set<string>()
  const addOthers = async (path: Buffer | string) => {
    for (const id of idsIn(await readOrReport(path, onProblem))) others.add(id)
  }
  if (await exists(join(gitFolder, 'reftable'))) {
    onProblem(
      `${gitFolder} stores its refs as reftable, which scan does not support; the names of refs were not searched`,
    )
    return { named, others }
  }
  const worktrees = await listFolder(join(gitFolder, 'worktrees'))
  for (const folder of [gitFolder, ...worktrees.map(name => join(gitFolder, 'worktrees', name))]) {
    for (const name of await listFolder(folder)) if (/^[A-Z][A-Z_]*$/.test(name)) await addOthers(join(folder, name))
    for await (const path of walkRefs(folder, 'logs', onProblem)) await addOthers(path)
    const packed = (await readOrReport(join(folder, 'packed-refs'), onProblem)).toString('latin1')
    for (const [, id, name = ''] of packed.matchAll(/^([0-9a-f]{40,64}) (.+)$/gm))
      named.set(describePath(Buffer.from(name, 'latin1')), id)
    for await (const path of walkRefs(folder, 'refs', onProblem)) {
      const content = (await readOrReport(path, onProblem)).toString('latin1')
      const [id] = idsIn(content)
      const name = describePath(path.subarray(Buffer.byteLength(folder) + 1))
      if (id === undefined && !content.startsWith('ref: ')) onProblem(`${name} contains no object id`)
      named.set(name, id)
    }
  }
  return { named, others }
}

/** Returns the object ids in a file, except the null id. */
function idsIn(content: Buffer | string): string[] {
  const ids = content.toString('latin1').match(/(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-f])/g) ?? []
  return ids.filter(id => !/^0+$/.test(id))
}

/** Lists the files below a folder of refs or reflogs. git follows links there; a scan only reports them. */
async function* walkRefs(folder: string, name: string, onProblem: OnProblem): AsyncGenerator<Buffer> {
  if (!(await exists(join(folder, name)))) return
  yield* walkFiles(Buffer.from(join(folder, name)), onProblem, path =>
    onProblem(`${describePath(path)} is neither a file nor a folder, and was not searched`),
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Lists the names in a folder; none if the folder does not exist. */
export async function listFolder(path: string): Promise<string[]> {
  return readdir(path).catch(() => [])
}

/** Reads a file; empty if the file does not exist, or after reporting that it is unreadable. */
export async function readOrReport(path: Buffer | string, onProblem: OnProblem): Promise<Buffer> {
  try {
    return (await readSmallFile(path)) ?? Buffer.alloc(0)
  } catch (error) {
    onProblem((error as Error).message)
    return Buffer.alloc(0)
  }
}

/** Reads a file; undefined if it does not exist. Rejects with one sentence if it is not a regular file, or too large. */
async function readSmallFile(path: Buffer | string): Promise<Buffer | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await file.stat()
    if (found.isDirectory()) return undefined
    if (!found.isFile()) throw new Error('not a regular file')
    if (found.size > maximumFile) throw new Error(`more than ${maximumFile} octets`)
    return await file.readFile()
  } catch (error) {
    if (/^(?:ENOENT|ENOTDIR)$/.test(String((error as NodeJS.ErrnoException).code))) return undefined
    throw new Error(describeProblem(describePath(Buffer.from(path)), error))
  } finally {
    await file?.close()
  }
}
