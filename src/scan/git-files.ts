// The files of a git repository that lie beside its objects, as far as a scan needs them: where the objects are, and which of
// them a name leads to. Its configuration is not among them. Nothing here waits for a file that blocks, or reads one that has
// no end.
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { describePath, describeProblem, walkFiles } from './files.ts'
import type { OnProblem } from './sighting.ts'

/** Octets; `packed-refs` of a hundred thousand refs has 8 MB. */
const maximumFile = 67_108_864

/** Object folders that one repository borrows from. */
const maximumStores = 100

/**
 * Finds the folder that holds the objects and refs of a repository, from a folder of it, or below. Rejects with one sentence
 * when there is none.
 */
export async function findGitFolder(folder: string): Promise<string> {
  for (let at = await realpath(folder); ; at = dirname(at)) {
    const found = (await followGitFile(join(at, '.git'))) ?? ((await isGitFolder(at)) ? at : undefined)
    if (found !== undefined) {
      const common = await readSmallFile(join(found, 'commondir')) // of a further working tree
      return common === undefined ? found : resolve(found, common.toString().trimEnd())
    }
    if (at === dirname(at)) throw new Error('it is in no git repository')
  }
}

/** `.git` is the folder itself or, in a further working tree and in a submodule, a file that names it. */
async function followGitFile(path: string): Promise<string | undefined> {
  if (await isGitFolder(path)) return path
  const target = /^gitdir: (.+)/.exec((await readSmallFile(path))?.toString() ?? '')?.[1]
  return target === undefined ? undefined : resolve(dirname(path), target)
}

async function isGitFolder(path: string): Promise<boolean> {
  const has = (name: string) => exists(join(path, name))
  return (await has('HEAD')) && ((await has('objects')) || (await has('commondir')))
}

/** The folders of objects of a repository: its own, and those that it borrows from (gitrepository-layout, alternates). */
export async function findStores(gitFolder: string, onProblem: OnProblem): Promise<string[]> {
  const stores = new Set([join(gitFolder, 'objects')])
  for (const store of stores) {
    const alternates = await readOrReport(join(store, 'info', 'alternates'), onProblem)
    for (const line of alternates.toString().split('\n'))
      if (line !== '' && !line.startsWith('#')) stores.add(resolve(store, line))
    if (stores.size > maximumStores) {
      onProblem(`${gitFolder} borrows objects from more than ${maximumStores} folders`)
      break
    }
  }
  return [...stores]
}

export interface Refs {
  /** What each ref leads to, by its name; undefined where that is another ref. */
  readonly named: ReadonlyMap<string, string | undefined>
  /** What else is pointed at: by HEAD, by what fetching and merging leave, and by the reflogs. */
  readonly others: ReadonlySet<string>
}

/** Reads the refs of a repository and of its further working trees. */
export async function readRefs(gitFolder: string, onProblem: OnProblem): Promise<Refs> {
  const named = new Map<string, string | undefined>()
  const others = new Set<string>()
  const addOthers = async (path: Buffer | string) => {
    for (const id of idsIn(await readOrReport(path, onProblem))) others.add(id)
  }
  if (await exists(join(gitFolder, 'reftable'))) {
    onProblem(`${gitFolder} stores its refs as reftable, which a scan cannot read; their names were not looked at`)
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
      if (id === undefined && !content.startsWith('ref: ')) onProblem(`${name} leads to nothing`)
      named.set(name, id)
    }
  }
  return { named, others }
}

/** The ids in a file, without the one of zeros, which stands for nothing. */
function idsIn(content: Buffer | string): string[] {
  const ids = content.toString('latin1').match(/(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-f])/g) ?? []
  return ids.filter(id => !/^0+$/.test(id))
}

/** The files below a folder of refs or reflogs. git follows links there; a scan names them. */
async function* walkRefs(folder: string, name: string, onProblem: OnProblem): AsyncGenerator<Buffer> {
  if (!(await exists(join(folder, name)))) return
  yield* walkFiles(Buffer.from(join(folder, name)), onProblem, path =>
    onProblem(`${describePath(path)} is neither a file nor a folder, and was not looked at`),
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** The names in a folder; none when there is no such folder. */
export async function listFolder(path: string): Promise<string[]> {
  return readdir(path).catch(() => [])
}

/** The content of a file; nothing when there is none, or when it is reported. */
export async function readOrReport(path: Buffer | string, onProblem: OnProblem): Promise<Buffer> {
  try {
    return (await readSmallFile(path)) ?? Buffer.alloc(0)
  } catch (error) {
    onProblem((error as Error).message)
    return Buffer.alloc(0)
  }
}

/** Undefined when there is no such file. Rejects with one sentence when it is none that can be read to its end. */
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
