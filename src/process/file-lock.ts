// A lock on a file, of the operating system, so that a process that dies gives it up. Node has none of its own; SQLite's
// does all that one needs, between processes and within one.
import { chownSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from '../store/node-sqlite.ts'

/** Does something while nobody else does the like to `path`. @throws Error (rejects) at once when somebody does. */
export async function whileLocked<T>(path: string, change: () => Promise<T>): Promise<T> {
  const lock = openLock(path)
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch {
    lock.close()
    throw new Error(`${path} is being changed by another process: try again when that is done`)
  }
  try {
    return await change()
  } finally {
    lock.close()
  }
}

/** The lock is an empty file beside the other. It stays: whoever removed it would let two in at once. */
function openLock(path: string): DatabaseSync {
  const file = `${path}.lock`
  try {
    // Only ever made, never opened here: closing it would take away a lock that this process has (fcntl(2)).
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 })
    keepOwner(path, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return new DatabaseSync(file)
}

/** What root makes beside a file belongs to whoever that file belongs to: the server must go on using it. */
export function keepOwner(path: string, made: string): void {
  const { uid, gid } = statSync(path)
  if (process.getuid?.() === 0) chownSync(made, uid, gid)
}
