// Group commit: writes requested in one turn of the event loop share one transaction, and so one wait for the disk. Each
// has a savepoint, so that a failure does not affect the others.
import type { DatabaseSync } from 'node:sqlite'

/** Maximum number of writes in one transaction, which blocks the event loop while it runs. */
const largestGroup = 256

interface Write {
  readonly work: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
  /** Set once the work was performed: what to do when the group is on the disk. */
  settle?: () => void
}

export interface GroupCommit {
  /** Resolves when the work is on the disk. Rejects with the error of the work, or of the transaction. */
  write<T>(work: () => T): Promise<T>
  /** Commits all pending writes at once. */
  flush(): void
}

/**
 * Creates the group. `beforeCommit` runs inside each transaction. The function that it returns runs once that is on the
 * disk, before any promise resolves.
 */
export function createGroupCommit(database: DatabaseSync, beforeCommit: () => () => void): GroupCommit {
  let waiting: Write[] = []

  function perform(write: Write): void {
    database.exec('SAVEPOINT one')
    try {
      const value = write.work()
      database.exec('RELEASE one')
      write.settle = () => write.resolve(value)
    } catch (error) {
      if (!database.isTransaction) throw error // a full disk may have ended the whole transaction
      database.exec('ROLLBACK TO one; RELEASE one')
      write.settle = () => write.reject(error)
    }
  }

  function commit(): void {
    const group = waiting.slice(0, largestGroup)
    waiting = waiting.slice(largestGroup)
    if (waiting.length > 0) setImmediate(commit)
    if (group.length === 0) return // already flushed
    let committed = () => {}
    try {
      database.exec('BEGIN IMMEDIATE')
      for (const write of group) perform(write)
      committed = beforeCommit()
      database.exec('COMMIT')
    } catch (error) {
      committed = () => {}
      rollBack(database)
      for (const write of group) write.settle = () => write.reject(error)
    }
    committed()
    for (const write of group) write.settle?.()
  }

  return {
    write<T>(work: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        if (waiting.push({ work, resolve: resolve as (value: unknown) => void, reject }) === 1) setImmediate(commit)
      })
    },
    flush() {
      while (waiting.length > 0) commit()
    },
  }
}

function rollBack(database: DatabaseSync): void {
  try {
    if (database.isTransaction) database.exec('ROLLBACK')
  } catch {
    // The cause of the failure can make the rollback fail too; SQLite then rolls back with the next transaction.
  }
}
