// The file of signing keys: read, made where it is ours to make, rotated, and watched, so that every server that shares
// it follows. A JWKS with private keys; `nbf` and `exp` of a key say from when it signs and until when it is kept.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { maximumLifetime } from '../core/access-token.ts'
import { isRotationDue, type Overlap, rotate } from '../core/key-schedule.ts'
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts'
import {
  type Algorithm,
  generateTokenKey,
  importSigningKeys,
  parseTokenJwk,
  type SigningKey,
  type TokenJwk,
  thumbprint,
} from '../keys/token-keys.ts'
import type { KeyChange } from '../server/record-events.ts'
import { documentLifetime } from '../server/routes/metadata.ts'
import { keepOwner, whileLocked } from './file-lock.ts'
import { readJsonFile } from './files.ts'

/** A key set may be kept for so long by others, and a token lives no longer than a day. */
const overlap: Overlap = { before: documentLifetime, after: maximumLifetime }

/** Milliseconds between two looks at the file. */
const lookInterval = 10_000

/** Makes the file with one key, unless there is one. The answer: whether it was made. */
export async function ensureKeysFile(path: string, algorithm: Algorithm): Promise<boolean> {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return false
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  write(path, [{ ...(await generateTokenKey(algorithm)), nbf: Math.floor(Date.now() / 1000) }], 'wx')
  return true
}

/** Reads the keys. @throws Error naming the file and the key that cannot be used, never quoting either. */
export function readKeysFile(path: string): TokenJwk[] {
  const { keys } = readJsonFile(path, 'object', { isSecret: true }) as { readonly keys?: unknown }
  if (!Array.isArray(keys) || keys.length === 0) throw new Error(`${path}: must be a JWKS with at least one key`)
  try {
    return keys.map(parseTokenJwk)
  } catch (error) {
    throw withPath(path, error)
  }
}

/** Reads the keys and takes them into use. @throws Error as above. */
export async function importKeysFile(path: string): Promise<SigningKey[]> {
  const keys = readKeysFile(path)
  return naming(path, () => importSigningKeys(keys))
}

/** Reads the keys into a ring; `now` in seconds since 1970. @throws Error (rejects) as above. */
export async function loadKeyRing(path: string, now: number): Promise<KeyRing> {
  const keys = await importKeysFile(path)
  return naming(path, () => createKeyRing(keys, now))
}

/** A key that was added, and the second from which it signs. */
export interface Rotated {
  readonly kid: string
  readonly nbf: number
}

/**
 * Adds a key that signs once it has been published for long enough, and sets an end for those before it.
 * @throws Error (rejects) when the file cannot be used, or another process is rotating it.
 */
export function rotateKeysFile(path: string, algorithm: Algorithm, now: number): Promise<Rotated> {
  return whileLocked(path, () => addKey(path, algorithm, now))
}

/** The same if it is due. Asked under the lock too: of servers that share the file, all find at the same time that it is. */
async function rotateIfDue(path: string, algorithm: Algorithm, now: number, age: number): Promise<Rotated | undefined> {
  const isDue = () => isRotationDue(readKeysFile(path), now, age, overlap)
  if (!isDue()) return undefined
  return whileLocked(path, async () => (isDue() ? addKey(path, algorithm, now) : undefined))
}

async function addKey(path: string, algorithm: Algorithm, now: number): Promise<Rotated> {
  const next = await generateTokenKey(algorithm)
  write(path, rotate(readKeysFile(path), next, now, overlap))
  return { kid: next.kid, nbf: now + overlap.before }
}

/**
 * Follows the file: a change is taken into the ring, and with `maximumAge` (seconds) keys are rotated when they are due.
 * `onChange` receives each key that differs, `report` what went wrong; the keys in use then stay. When `onChange` throws, it
 * receives the same keys again with a later look. `clock` in milliseconds since 1970. The answer looks at once.
 */
export function watchKeysFile(
  path: string,
  ring: KeyRing,
  { clock, maximumAge, algorithm, report, onChange }: WatchOptions,
): () => Promise<void> {
  let seen: string | undefined // not what stands there now: it may have changed since it was read
  const remember = createKeyMemory(path)
  let isUntold = false
  const takeOver = (keys: readonly SigningKey[]) => {
    try {
      remember(keys, onChange)
      isUntold = false
    } catch (error) {
      if (!isUntold) report(`a change of the signing keys is in no event yet: ${(error as Error).message}`)
      isUntold = true
    }
  }
  takeOver(ring.all) // which can differ from those of the last run
  const look = async () => {
    try {
      const now = Math.floor(clock() / 1000)
      if (maximumAge !== undefined) await rotateIfDue(path, algorithm, now, maximumAge)
      const { ino, mtimeMs, ctimeMs } = statSync(path) // two rotations can come within one tick of the file system's clock
      const version = `${ino} ${mtimeMs} ${ctimeMs}`
      if (version === seen) return isUntold ? takeOver(ring.all) : undefined
      const keys = await importKeysFile(path)
      await naming(path, () => ring.replace(keys, now))
      seen = version
      takeOver(keys)
    } catch (error) {
      report(`the signing keys stay as they are: ${(error as Error).message}`)
    }
  }
  setInterval(() => look().catch(() => {}), lookInterval).unref() // it rejects only when `report` does
  return look
}

export interface WatchOptions {
  readonly clock: () => number
  readonly maximumAge: number | undefined
  readonly algorithm: Algorithm
  readonly report: (problem: string) => void
  readonly onChange: (key: KnownKey, change: KeyChange) => void
}

/** What is remembered of a key: enough to notice that another one has its id, or that its times were moved. */
interface KnownKey {
  readonly kid: string
  readonly nbf?: number | undefined
  readonly exp?: number | undefined
  readonly alg: string
  /** RFC 7638. */
  readonly thumbprint: string
}

/**
 * Remembers the keys beside their file, where that can be written, so that one that came while no server ran is noticed at the
 * next start. The answer takes the keys that are in use now, and gives `tell` those that differ from the ones before. What
 * `tell` throws it throws too, and then remembers nothing.
 */
function createKeyMemory(keysFile: string): (keys: readonly SigningKey[], tell: WatchOptions['onChange']) => void {
  const path = `${keysFile}.seen`
  let before = readKnownKeys(path)
  return (keys, tell) => {
    const now = keys.map(describeKey)
    if (JSON.stringify(now) === JSON.stringify(before)) return
    for (const key of now) {
      const change = findChange(key, before)
      if (change !== undefined) tell(key, change)
    }
    for (const key of before ?? []) if (!now.some(({ kid }) => kid === key.kid)) tell(key, 'removed')
    before = now
    try {
      writeWhole(path, JSON.stringify(now), keysFile)
    } catch {} // the state cannot be remembered there either, which is said at the start
  }
}

function describeKey({ kid, nbf, exp, publicJwk }: SigningKey): KnownKey {
  return { kid, nbf, exp, alg: publicJwk.alg, thumbprint: thumbprint(publicJwk) }
}

function findChange(key: KnownKey, known: readonly KnownKey[] | undefined): KeyChange | undefined {
  if (known === undefined) return 'present'
  const former = known.find(({ kid }) => kid === key.kid)
  if (former === undefined) return 'added'
  if (former.thumbprint !== key.thumbprint || former.alg !== key.alg) return 'changed'
  return former.nbf === key.nbf && former.exp === key.exp ? undefined : 'rescheduled'
}

/** undefined: there is no file, or none that can be read. */
function readKnownKeys(path: string): KnownKey[] | undefined {
  try {
    const keys = JSON.parse(readFileSync(path, 'utf8')) as KnownKey[]
    return keys.every(({ kid }) => typeof kid === 'string') ? keys : undefined
  } catch {
    return undefined
  }
}

function write(path: string, keys: readonly TokenJwk[], flag: 'w' | 'wx' = 'w'): void {
  const text = `${JSON.stringify({ keys }, null, 2)}\n`
  if (flag === 'wx') writeFileSync(path, text, { flag, mode: 0o600, flush: true })
  else writeWhole(path, text, path)
}

/** Whole or not at all, and for whoever a file beside it belongs to. */
function writeWhole(path: string, text: string, beside: string): void {
  const draft = `${path}.new`
  writeFileSync(draft, text, { mode: 0o600, flush: true })
  keepOwner(beside, draft)
  renameSync(draft, path)
}

/** Names the file in the problem of a function that does not know it, whether it throws or rejects. */
async function naming<T>(path: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw withPath(path, error)
  }
}

function withPath(path: string, error: unknown): Error {
  return new Error(`${path}: ${(error as Error).message}`)
}
