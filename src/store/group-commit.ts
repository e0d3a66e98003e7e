// Group commit: the writes that are asked for in one turn of the event loop share one transaction, and so one wait for the
// disk. Each stands behind a savepoint of its own, so that one that fails does not harm the others.
import type { DatabaseSync } from 'node:sqlite'

/** The most writes in one transaction; it holds up the event loop for as long as it takes. */
const largestGroup = 256

interface Write {
  readonly work: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
  /** Set when it was performed: what to do once the group is on the disk. */
  settle?: () => void
}

export interface GroupCommit {
  /** Resolves when the work is on the disk. Rejects with what the work threw, or with what kept it from the disk. */
  write<T>(work: () => T): Promise<T>
  /** Commits what is waiting, at once. */
  flush(): void
}

/** `beforeCommit` runs inside each transaction; what it returns runs when that is on the disk, before any promise resolves. */
export function createGroupCommit(database: DatabaseSync, beforeCommit: () => () => void): GroupCommit {
  let waiting: Write[] = []

  function perform(write: Write): void {
    database.exec('SAVEPOINT one')
    try {
      const value = write.work()
      database.exec('RELEASE one')
      write.settle = () => write.resolve(value)
    } catch (error) {
      if (!database.isTransaction) throw error // a disk that is full may have ended the transaction, and the others with it
      database.exec('ROLLBACK TO one; RELEASE one')
      write.settle = () => write.reject(error)
    }
  }

  function commit(): void {
    const group = waiting.slice(0, largestGroup)
    waiting = waiting.slice(largestGroup)
    if (waiting.length > 0) setImmediate(commit)
    if (group.length === 0) return // a flush was faster
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
    // What made the transaction fail keeps it from being rolled back too; SQLite does it with the next one.
  }
}
