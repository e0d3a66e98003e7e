// Whether others can replace a folder: by renaming it, or one of those that contain it.
import { realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { FileProblem, quoteForShell } from './file-problem.ts'

/**
 * Checks all folders that contain a folder, as its path is written and where its links lead. In a folder with the sticky bit, such as
 * /tmp, others cannot rename what is not theirs.
 * @throws FileProblem
 */
export function requireOwnParents(folder: string): void {
  const parents = [resolve(folder), realpathSync(folder)].flatMap(parentsOf)
  for (const parent of new Set(parents)) {
    const stats = statSync(parent)
    const found = describeRenaming(stats)
    if (found !== undefined)
      throw new FileProblem(parent, {
        found: `${found} can replace ${quoteForShell(folder)}`,
        remedy: `chmod go-w ${quoteForShell(parent)}, as its owner root or this user; or use another folder, such as one in /run`,
      })
  }
}

function parentsOf(folder: string): string[] {
  const parent = dirname(folder)
  return parent === folder ? [] : [parent, ...parentsOf(parent)]
}

function describeRenaming({ mode, uid }: Stats): string | undefined {
  const isSticky = (mode & 0o1000) !== 0
  if ((mode & 0o022) !== 0 && !isSticky) return `with its mode ${(mode & 0o7777).toString(8).padStart(4, '0')}, others`
  return uid === 0 || uid === process.geteuid?.() ? undefined : `its owner, another user (${uid}),`
}
