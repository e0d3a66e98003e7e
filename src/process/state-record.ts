// Records beside the signing keys which state they were used with: its identity, its position, and a hash of its file when
// it was closed. Tokens live as long as their keys, but revocations exist only in the state. A state that was lost,
// truncated or replaced by a backup would accept revoked tokens again. So a state that differs from the record revokes all
// earlier tokens.
import { createHash, hash } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { StateIdentity, Store } from '../store/store.ts'
import { keepOwner } from './file-lock.ts'

/**
 * Maximum size of a file that is hashed, in octets: at the start and at the end, half a second where the processor has instructions
 * for SHA-256, and two where it has not. Without the hash, the content is checked, which takes longer.
 */
const largestSealed = 536_870_912

interface Remembered {
  readonly id: string
  readonly position: number
  /** SHA-256 of the closed file. Undefined while a server uses it, and after a crash. */
  readonly seal: string | undefined
}

export interface StateRecord {
  /** Whether the state file is exactly the one that was closed. False if unknown. */
  readonly isIntact: boolean
  /** Returns why revocations may be missing from the state, as a sentence. Undefined: none are missing. */
  findLoss(state: StateIdentity, keysAreNew: boolean): string | undefined
  /** Records this state from now on, durably. @throws Error of the system when the record is not writable. */
  begin(state: StateIdentity): void
  /** Records the position of the state. After a crash of the process, the disk has at least the reported position. */
  note(position: number): void
  /** Records the hash of the file, which was closed. */
  seal(): void
}

/**
 * Loads the record beside the signing keys for the state at `url`, whose file is not open yet. Undefined: the state of a store
 * that the program provided.
 */
export function readStateRecord(keysFile: string, url: string | undefined): StateRecord {
  const stateFile = url === undefined ? undefined : /^sqlite:(.+)$/s.exec(url)?.[1]
  const database = stateFile === ':memory:' ? undefined : stateFile
  const name = hash(
    'sha256',
    stateFile === undefined ? (url?.slice(url.lastIndexOf('@') + 1) ?? 'given') : resolve(stateFile),
    'hex',
  )
  const path = `${keysFile}.state-${name.slice(0, 16)}`
  const remembered = read(path)
  const seal = remembered instanceof Error ? undefined : remembered?.seal
  const isIntact = seal !== undefined && database !== undefined && sealOf(database) === seal
  const where = url === undefined ? 'of the given store' : stateFile === undefined ? 'in PostgreSQL' : `in ${stateFile}`
  let current = { id: '', position: 0 }
  let file: number | undefined

  function write(seal?: string): void {
    if (file === undefined) return
    // All records have the same length, so that one write replaces the old record completely.
    const { id, position } = current
    writeSync(file, `tlsbound-state ${id} ${String(position).padStart(16, '0')} ${seal ?? '-'.repeat(64)}\n`, 0)
  }

  return {
    isIntact,
    findLoss(state, keysAreNew) {
      if (remembered instanceof Error)
        return `${path} cannot be read or is damaged, so that the state ${where} may be an older one`
      if (remembered?.id === state.id) {
        if (state.position < remembered.position)
          return `the state ${where} lacks its last changes: its log was cut, or a backup was restored`
        return seal === undefined || isIntact ? undefined : `the state ${where} was changed while no server ran on it`
      }
      if (remembered !== undefined)
        return `the state ${where} is not the one that the signing keys were used with last: that was removed or replaced`
      if (state.isNew) return keysAreNew ? undefined : `the state ${where} is new, and the signing keys are not`
      const others = readOthers(path, keysFile)
      const moved = others.find(other => other.id === state.id)
      if (others.length === 0 || (moved !== undefined && moved.position <= state.position)) return undefined
      return `the state ${where} is not one that the signing keys were used with last`
    },
    begin({ id, position }) {
      current = { id, position }
      file = open(path)
      keepOwner(keysFile, path)
      write()
      fsyncSync(file)
      const folder = openSync(dirname(path), 'r')
      fsyncSync(folder)
      closeSync(folder)
    },
    note(position) {
      if (position <= current.position) return
      current = { ...current, position }
      try {
        write()
      } catch {} // the record may be behind the state, but never ahead of it
    },
    seal() {
      const content = database === undefined ? undefined : sealOf(database)
      if (content === undefined || file === undefined) return
      write(content)
      fsyncSync(file)
    },
  }
}

export interface Watch {
  readonly keysAreNew: boolean
  /** Revokes all earlier tokens, and logs why. */
  readonly onLoss: (sentence: string) => Promise<void>
  /** Called when the record is not writable. */
  readonly report: (problem: string) => void
}

/** Compares the state with the record, and updates the record from now on. Rejects as the store and `onLoss` do. */
export async function watchState(
  record: StateRecord,
  store: Pick<Store, 'identify' | 'acknowledge' | 'watchPosition'>,
  { keysAreNew, onLoss, report }: Watch,
): Promise<void> {
  const loss = record.findLoss(await store.identify(), keysAreNew)
  if (loss !== undefined) await onLoss(loss) // first, so that the next start finds the loss again after a crash
  try {
    record.begin(await store.identify())
    store.watchPosition(record.note)
  } catch (error) {
    report(`neither state nor keys can be recorded beside the signing keys (${(error as NodeJS.ErrnoException).code})`)
  }
  await store.acknowledge()
}

/** Loads a record. Undefined if it is missing, an Error if it is unreadable or damaged. */
function read(path: string): Remembered | Error | undefined {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : (error as Error)
  }
  const [, id, position, seal] = /^tlsbound-state ([0-9a-f]{32}) ([0-9]{16}) (-{64}|[0-9a-f]{64})\n$/.exec(text) ?? []
  if (id === undefined) return new Error('damaged')
  return { id, position: Number(position), seal: seal?.startsWith('-') ? undefined : seal }
}

/** Removes the records of states with other names, such as the former path of a moved file. */
function readOthers(path: string, keysFile: string): Remembered[] {
  const prefix = `${basename(keysFile)}.state-`
  const names = readdirSync(dirname(path)).filter(name => name.startsWith(prefix) && name !== basename(path))
  return names.flatMap(name => {
    const other = read(join(dirname(path), name))
    return other === undefined || other instanceof Error ? [] : other
  })
}

function open(path: string): number {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return openSync(path, 'wx+', 0o600)
  }
}

/** Returns the SHA-256 of a file. Undefined if it is missing, too large, or has a log with later changes. */
function sealOf(path: string): string | undefined {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return undefined
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return undefined
  }
  try {
    if (fstatSync(file).size > largestSealed) return undefined
    const digest = createHash('sha256')
    const chunk = Buffer.allocUnsafe(1_048_576)
    for (let count = 1; count > 0; ) {
      count = readSync(file, chunk)
      digest.update(chunk.subarray(0, count))
    }
    return digest.digest('hex')
  } finally {
    closeSync(file)
  }
}
