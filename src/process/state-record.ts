// What is remembered of the state beside the signing keys: which state they were used with, how far that had come, and what its
// file held when it was closed. Tokens live as long as their keys, and revocations only in the state: one that was lost, cut
// or put back would let revoked tokens in again. So a state that is not the remembered one revokes everything of before.
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

/** The largest file whose content is compared, in octets: about two seconds of work at the start and at the end. */
const largestSealed = 268_435_456

interface Remembered {
  readonly id: string
  readonly position: number
  /** SHA-256 of the closed file; undefined while a server runs on it, and after it crashed. */
  readonly seal: string | undefined
}

export interface StateRecord {
  /** Whether the file of the state is, octet for octet, the one that was closed; false: nothing is known about that. */
  readonly isIntact: boolean
  /** Why revocations may be missing from the state, as a sentence; undefined: none can be. */
  findLoss(state: StateIdentity, keysAreNew: boolean): string | undefined
  /** Remembers this state from now on. Durable when it returns. @throws Error of the system when that cannot be written. */
  begin(state: StateIdentity): void
  /** Remembers how far the state has come; what the disk has is at least what was told before a crash of the process. */
  note(position: number): void
  /** Remembers the content of the file, which was closed. */
  seal(): void
}

/**
 * Reads what is remembered beside the signing keys of the state at `url`, whose file is not open yet; undefined: the state of a
 * store that the program gave.
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
    // Of one length, so that it is replaced in place, and as a whole.
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
      } catch {} // it remembers less, and never more than there is
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
  /** Revokes everything of before, and says why. */
  readonly onLoss: (sentence: string) => Promise<void>
  /** Called when nothing can be remembered. */
  readonly report: (problem: string) => void
}

/** Compares the state with what is remembered, and remembers it from now on. Rejects as the store and `onLoss` do. */
export async function watchState(
  record: StateRecord,
  store: Pick<Store, 'identify' | 'acknowledge' | 'watchPosition'>,
  { keysAreNew, onLoss, report }: Watch,
): Promise<void> {
  const loss = record.findLoss(await store.identify(), keysAreNew)
  if (loss !== undefined) await onLoss(loss) // first, so that a crash in between makes the next start find it again
  try {
    record.begin(await store.identify())
    store.watchPosition(record.note)
  } catch (error) {
    report(
      `neither state nor keys can be remembered beside the signing keys (${(error as NodeJS.ErrnoException).code})`,
    )
  }
  await store.acknowledge()
}

/** undefined: there is none. An error: it is there, and not what was written. */
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

/** What is remembered of states of other names, such as the former path of a file that was moved. */
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

/** SHA-256 of a file; undefined where it is missing, too large, or has a log whose changes it lacks. */
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
