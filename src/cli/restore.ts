// tlsbound restore: checks a backup of an SQLite state, and puts it in the place of the state while no server runs.
import { closeSync, existsSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { keepOwner } from '../process/file-lock.ts'
import { storeUrl } from '../settings/forms.ts'
import { DatabaseSync } from '../store/node-sqlite.ts'
import { examineBackup } from '../store/sqlite-backup.ts'
import { describeBackup } from './backup-summary.ts'
import { type Command, UsageError } from './command.ts'
import { createOptionReader, jsonOption, type ValueOption } from './option.ts'
import { writeMessage, writeResult } from './output.ts'

const state: ValueOption<string> = {
  name: 'state',
  value: 'URL',
  variable: 'TLSBOUND_STATE_URL',
  fallback: 'sqlite:data/tlsbound.db',
  help: 'The state to replace, as the server names it',
  form: storeUrl,
}

export const command: Command = {
  usage: ['FILE [OPTIONS]'],
  description: [
    'Checks a backup of tlsbound backup, and puts it in the place of the state. The server must be stopped. The state that was there is kept under another name.',
    'A restored state is an older state. The server notices that when it starts, and revokes all tokens that were issued before. Clients that were disabled since the backup must be disabled again.',
    'For PostgreSQL use pg_restore.',
  ],
  positionals: { value: 'FILE' },
  options: [
    { name: 'check', help: 'Only checks the backup, and shows what it contains' },
    { name: 'force', help: 'Replaces a state that exists' },
    state,
    jsonOption,
  ],
  failure: 'the backup cannot be restored; nothing was changed',
  examples: ['tlsbound restore --check tlsbound.db', 'tlsbound restore --force tlsbound.db'],
  async run(values, [file, ...others]) {
    if (file === undefined || others.length > 0) throw new UsageError('expected: tlsbound restore FILE')
    const url = createOptionReader(values, process.env)(state) ?? 'sqlite:data/tlsbound.db'
    const summary = examineBackup(file)
    if (values.check === true) {
      writeResult(values, summary, `valid: ${file}: ${describeBackup(summary)}`)
      return
    }
    const target = requirePath(url)
    const kept = replaceState(file, target, values.force === true)
    writeResult(values, { ...summary, restored: target, kept }, `restored: ${target}: ${describeBackup(summary)}`)
    if (kept !== undefined) writeMessage(`The state that was there is ${kept}.`)
    writeMessage(
      'The server revokes all earlier tokens when it starts. Disable again the clients disabled since the backup.',
    )
  },
}

/** Returns the path of an SQLite state. @throws Error for a state in PostgreSQL or in memory. */
function requirePath(url: string): string {
  const path = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (path === undefined)
    throw new Error(
      'the state is in PostgreSQL; restore it with pg_restore --clean --if-exists --dbname="$TLSBOUND_STATE_URL" FILE',
    )
  if (path === ':memory:') throw new Error('the state is in memory only; name the file with --state sqlite:PATH')
  return path
}

/** Replaces the state by a copy of the backup. Returns the new name of the one that was there. @throws Error; nothing was changed. */
function replaceState(backup: string, target: string, force: boolean): string | undefined {
  const exists = existsSync(target)
  if (exists) requireUnused(target)
  if (exists && !force) throw new Error(`${target} exists; --force replaces it, and keeps it under another name`)
  const made = `${target}.restoring`
  try {
    copy(backup, made)
    keepOwner(exists ? target : dirname(target), made)
    const kept = exists ? `${target}.replaced-${new Date().toISOString().replaceAll(/[-:.]/g, '')}` : undefined
    if (kept !== undefined) for (const end of ['', ...companions]) moveIfThere(target + end, kept + end)
    renameSync(made, target)
    syncFolder(dirname(target))
    return kept
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (path !== made || code !== 'EEXIST') rmSync(made, { force: true })
    throw code === undefined
      ? error
      : new Error(`${path ?? target}: the backup was not restored (${code})`, { cause: error })
  }
}

/** Copies a file to a new one for its owner alone, onto the disk. copyFileSync would give it the mode of the other one. */
function copy(from: string, to: string): void {
  const target = openSync(to, 'wx', 0o600)
  const source = openSync(from, 'r')
  try {
    const part = Buffer.alloc(1_048_576)
    for (let size = readSync(source, part); size > 0; size = readSync(source, part))
      writeFileSync(target, part.subarray(0, size))
    fsyncSync(target)
  } finally {
    closeSync(source)
    closeSync(target)
  }
}

/** The files that SQLite has beside a database that was not closed. They belong to it, and not to the restored one. */
const companions = ['-wal', '-shm', '-journal']

function moveIfThere(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to)
}

/** @throws Error when a server has the state open. A damaged state can be replaced. */
function requireUnused(path: string): void {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 500 })
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK')
  } catch (error) {
    if ((error as { errcode?: number }).errcode === 5)
      throw new Error(`${path} is in use; stop the server before its state is restored`, { cause: error })
  } finally {
    database?.close()
  }
}

/** Waits until the names in a folder are on the disk. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  fsyncSync(folder)
  closeSync(folder)
}
