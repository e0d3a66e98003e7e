// Reads files with a size limit, and checks their modes and owners. Every file in a setting or an option is read here. An error
// contains the file, the finding, and a remedy.
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, resolve } from 'node:path'
import { isFileContent } from '../core/file-content.ts'
import { FileProblem, type Finding, quoteForShell } from './file-problem.ts'

export interface ReadOptions {
  /** The maximum size of the file, in octets. */
  readonly most: number
  /** Whether to reject a file that other users on this machine can read. */
  readonly isSecret?: boolean
}

/** Reads a regular file. @throws FileProblem, which never quotes the content, not even in the place of the path. */
export function readRegularFile(path: string, { most, isSecret = false }: ReadOptions): Buffer {
  if (isFileContent(path))
    throw new FileProblem(path, { found: 'this is the content of a file', remedy: 'pass the path of the file' })
  observed?.set(path, missing)
  const file = open(path)
  try {
    const stats = fstatSync(file)
    observed?.set(path, describeState(stats))
    if (!stats.isFile()) throw new FileProblem(path, { found: `this is ${typeOf(stats)}, a file is needed` })
    const readers = isSecret ? describeReaders(path, stats) : undefined
    if (readers !== undefined) throw new FileProblem(path, readers)
    return readAll(file, path, most)
  } finally {
    closeSync(file)
  }
}

/** The files that the current work reads, with their states; undefined outside of `observeReads`. */
let observed: Map<string, string> | undefined

/** Runs work, which must be synchronous, and adds each file that it reads to `states`, with its state. */
export function observeReads<T>(states: Map<string, string>, work: () => T): T {
  const outer = observed
  observed = states
  try {
    return work()
  } finally {
    observed = outer
  }
}

const missing = 'missing'

/** Returns the state of a file, which differs once content, owner or mode have changed, or the path leads elsewhere. */
export function fileStateOf(path: string): string {
  try {
    return describeState(statSync(path))
  } catch {
    return missing
  }
}

function describeState({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
}

/** Returns a message if other users on this machine can read the file. @throws Error of the system. */
export function findReaders(path: string): string | undefined {
  const finding = describeReaders(path, statSync(path))
  return finding && new FileProblem(path, finding).message
}

/** Returns a message if the file belongs to a user other than the current one and root. @throws Error of the system. */
export function findForeignOwner(path: string): string | undefined {
  const { uid } = statSync(path)
  const ours = process.getuid?.()
  if (uid === 0 || ours === undefined || uid === ours) return undefined
  const found = `this file belongs to another user (${uid}), who can read and change it`
  return new FileProblem(path, { found, remedy: `chown ${ours} ${quoteForShell(path)}` }).message
}

function describeReaders(path: string, { mode, uid, gid }: Stats): Finding | undefined {
  const isRoots = uid === 0 && process.geteuid?.() !== 0
  const others = isCredential(path) || (isRoots && isOwnGroup(gid)) ? 0o037 : 0o077
  if ((mode & others) === 0) return undefined
  const name = quoteForShell(path)
  const group = process.getegid?.()
  return {
    found: `others can read this secret (mode ${modeOf(mode)})`,
    // With mode 0600 this user could not read a file of root.
    remedy: isRoots
      ? `as root: chgrp ${group} ${name} && chmod 440 ${name}; in Kubernetes: defaultMode: 0440 of the volume, and fsGroup: ${group} of the pod`
      : `chmod 600 ${name}`,
  }
}

/** A secret of root may be read by a group of this process, as in a pod with fsGroup: only root decides who is in it. */
function isOwnGroup(gid: number): boolean {
  return process.getegid?.() === gid || process.getgroups?.().includes(gid) === true
}

/** systemd may grant access to a credential by an access list, which the mode shows as a permission of the group of root. */
function isCredential(path: string): boolean {
  const folder = process.env.CREDENTIALS_DIRECTORY
  return folder !== undefined && dirname(resolve(path)) === resolve(folder)
}

/** Opens the file without waiting for the other end of a FIFO. */
function open(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new FileProblem(path, describeFailure(path, (error as NodeJS.ErrnoException).code))
  }
}

/** Reads in parts, because the system does not report the size of some files. */
function readAll(file: number, path: string, most: number): Buffer {
  const parts: Buffer[] = []
  let length = 0
  try {
    for (;;) {
      const part = Buffer.allocUnsafe(Math.min(Math.max(fstatSync(file).size - length, 0), most - length) + 4096)
      const read = readSync(file, part)
      if (read === 0) return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, length)
      parts.push(part.subarray(0, read))
      length += read
      if (length > most) throw new FileProblem(path, { found: `this file is larger than ${most} octets` })
    }
  } catch (error) {
    if (error instanceof FileProblem) throw error
    throw new FileProblem(path, { found: `this file cannot be read (${(error as NodeJS.ErrnoException).code})` })
  }
}

/** Explains why a file could not be opened. */
function describeFailure(path: string, code: string | undefined): Finding {
  switch (code) {
    case 'ENOENT':
      return {
        found: `there is no such file (ENOENT)${isDangling(path) ? ': the target of the symbolic link does not exist' : ''}`,
      }
    case 'ENOTDIR':
      return { found: 'a part of this path is a file, not a directory (ENOTDIR)' }
    case 'ELOOP':
      return { found: 'the symbolic links in this path form a loop (ELOOP)' }
    case 'EACCES':
    case 'EPERM':
      return describeDenial(path, code)
    case 'ENXIO':
      return { found: 'this is a socket, a file is needed' }
    default:
      return { found: `this file cannot be opened (${code})` }
  }
}

function describeDenial(path: string, code: string): Finding {
  const [denied, stats] = findDenied(resolve(path))
  const id = process.geteuid?.()
  const user = `the user ${nameOfUser()}${id === undefined ? '' : ` (${id})`}`
  if (stats === undefined) return { found: `${user} may not read this file (${code})` }
  const rights = `mode ${modeOf(stats.mode)}, owner ${stats.uid}, group ${stats.gid}`
  return denied === resolve(path)
    ? { found: `${user} may not read this file (${rights})`, remedy: 'change its owner or its mode' }
    : { found: `${user} may not enter the directory ${denied} (${rights})`, remedy: 'change its owner or its mode' }
}

/** Returns the last visible part of a path, which is the one that cannot be entered or read. */
function findDenied(path: string): readonly [path: string, stats: Stats | undefined] {
  for (let part = path; ; part = dirname(part)) {
    try {
      return [part, statSync(part)]
    } catch {
      if (part === dirname(part)) return [part, undefined]
    }
  }
}

function isDangling(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

function nameOfUser(): string {
  try {
    return userInfo().username
  } catch {
    return 'of this process'
  }
}

function typeOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory'
  if (stats.isFIFO()) return 'a FIFO (named pipe)'
  return stats.isSocket() ? 'a socket' : 'a device'
}

function modeOf(mode: number): string {
  return (mode & 0o777).toString(8).padStart(3, '0')
}
