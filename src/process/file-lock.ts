// A lock on a file by the operating system, which releases it when the process dies. Node has none. SQLite's lock works
// between processes and within one.
import { chownSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from '../store/node-sqlite.ts'

/** Runs a function while holding the lock on `path`. @throws Error (rejects) at once when another holder has it. */
export async function whileLocked<T>(path: string, change: () => Promise<T>): Promise<T> {
  const lock = openLock(path)
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch {
    lock.close()
    throw new Error(`${path} is being changed by another process: retry when it has finished`)
  }
  try {
    return await change()
  } finally {
    lock.close()
  }
}

/**
 * Creates the lock: an empty file beside the other. It is never removed, because removing it could let two holders in at
 * once.
 */
function openLock(path: string): DatabaseSync {
  const file = `${path}.lock`
  try {
    // Only created, never opened here: closing it would release a lock that this process holds (fcntl(2)).
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 })
    keepOwner(path, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return new DatabaseSync(file)
}

/** Gives a file that root creates to the owner of the file beside it, so that the server can still use it. */
export function keepOwner(path: string, made: string): void {
  const { uid, gid } = statSync(path)
  if (process.getuid?.() === 0) chownSync(made, uid, gid)
}
