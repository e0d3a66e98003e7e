// The folder in which git runs for a scan. It links only the packs and loose objects of a repository. No configuration,
// attributes, hooks, replacements, grafts, alternates or indexes of the repository can run a program, make git read a
// file, or hide an object.
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findStores, listFolder, readOrReport } from './git-files.ts'
import type { OnProblem } from './sighting.ts'

export interface Mirror {
  readonly folder: string
  /** The environment for git, with which it reads only the mirror's own configuration. */
  readonly env: Readonly<Record<string, string | undefined>>
  remove(): Promise<void>
}

/**
 * Octets. A larger object is read in chunks unless it is stored as a delta; git makes no deltas of objects above the
 * second bound, and allocates no more at once.
 */
const sizes = { inParts: '1m', most: '512m' } as const

/** Creates a mirror of a repository. `env` is the environment of git. Rejects when it cannot be written. */
export async function createMirror(
  gitFolder: string,
  env: Readonly<Record<string, string | undefined>>,
  onProblem: OnProblem,
): Promise<Mirror> {
  const folder = await mkdtemp(join(tmpdir(), 'tlsbound-scan-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const stores: string[] = []
    let isSha256 = false
    for (const store of await findStores(gitFolder, onProblem)) {
      const copy = join(folder, 'stores', String(stores.length))
      if (!(await isFolder(store))) onProblem(`the object folder ${store} cannot be read`)
      isSha256 = (await linkObjects(store, copy)) || isSha256
      stores.push(copy)
    }
    const shallow = await readOrReport(join(gitFolder, 'shallow'), onProblem)
    await mkdir(join(folder, 'refs'))
    await mkdir(join(folder, 'objects', 'info'), { recursive: true })
    await writeFile(join(folder, 'objects', 'info', 'alternates'), stores.map(store => `${store}\n`).join(''))
    await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/none\n')
    await writeFile(join(folder, 'config'), buildConfiguration(isSha256))
    if (shallow.length > 0) await writeFile(join(folder, 'shallow'), shallow)
  } catch (error) {
    await remove()
    throw error
  }
  // In a hook, for example, some of these name another repository.
  const others = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('GIT_')))
  return {
    folder,
    env: {
      ...others,
      ...{ HOME: folder, XDG_CONFIG_HOME: folder, GIT_DIR: folder },
      ...{ GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_ATTR_NOSYSTEM: '1' },
      ...{ GIT_NO_LAZY_FETCH: '1', GIT_ALLOC_LIMIT: sizes.most, LC_ALL: 'C' },
    },
    remove,
  }
}

/** Links the folders of a store's objects. Returns whether their ids are SHA-256. */
async function linkObjects(store: string, copy: string): Promise<boolean> {
  await mkdir(copy, { recursive: true })
  let isSha256 = false
  for (const name of await listFolder(store)) {
    if (!/^(?:[0-9a-f]{2}|pack)$/.test(name)) continue
    const target = join(store, name)
    await symlink(target, join(copy, name), 'junction')
    const longest = name === 'pack' ? /^pack-[0-9a-f]{64}\./ : /^[0-9a-f]{62}$/
    isSha256 ||= (await listFolder(target)).some(one => longest.test(one))
  }
  return isSha256
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

function buildConfiguration(isSha256: boolean): string {
  return `[core]
  repositoryFormatVersion = 1
  bare = true
  bigFileThreshold = ${sizes.inParts}
  multiPackIndex = false
  commitGraph = false
${isSha256 ? '[extensions]\n  objectFormat = sha256\n' : ''}`
}
