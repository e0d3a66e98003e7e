// Whether others can replace a folder: by renaming it, one of those that contain it, or a symbolic link that leads to it.
import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { dirname, isAbsolute, join, parse } from 'node:path'
import { FileProblem, quoteForShell } from './file-problem.ts'

/** Symbolic links in a path, as Linux follows them. */
const mostLinks = 40

/**
 * Checks all folders that the system searches on the way to a folder, those that its symbolic links lead through too. In a folder with
 * the sticky bit, such as /tmp, others cannot rename what is not theirs.
 * @throws FileProblem
 */
export function requireOwnParents(folder: string): void {
  const path = isAbsolute(folder) ? folder : `${process.cwd()}/${folder}` // `join` would remove `..` after a link
  let parent = parse(path).root
  let links = 0
  const names = namesOf(path)
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      parent = dirname(parent) // it has no link
      continue
    }
    const container = statSync(parent)
    refuse(
      parent,
      describeRenaming(container),
      folder,
      `chmod go-w ${quoteForShell(parent)}, as its owner root or this user`,
    )
    const next = join(parent, name)
    const stats = lstatSync(next)
    if (!stats.isSymbolicLink()) {
      parent = next
      continue
    }
    if (isWritable(container))
      refuse(next, describeOwner(stats), folder, 'replace this symbolic link by one of this user')
    if (++links > mostLinks) throw new FileProblem(folder, { found: 'its path has too many symbolic links' })
    const target = readlinkSync(next)
    if (isAbsolute(target)) parent = parse(target).root
    names.unshift(...namesOf(target))
  }
}

function namesOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split('/')
    .filter(name => name !== '' && name !== '.')
}

function refuse(path: string, found: string | undefined, folder: string, remedy: string): void {
  if (found === undefined) return
  throw new FileProblem(path, {
    found: `${found} can replace ${quoteForShell(folder)}`,
    remedy: `${remedy}; or use another folder, such as one in /run`,
  })
}

function describeRenaming(stats: Stats): string | undefined {
  const isSticky = (stats.mode & 0o1000) !== 0
  return isWritable(stats) && !isSticky
    ? `with its mode ${(stats.mode & 0o7777).toString(8).padStart(4, '0')}, others`
    : describeOwner(stats)
}

function isWritable({ mode }: Stats): boolean {
  return (mode & 0o022) !== 0
}

function describeOwner({ uid }: Stats): string | undefined {
  return uid === 0 || uid === process.geteuid?.() ? undefined : `its owner, another user (${uid}),`
}
