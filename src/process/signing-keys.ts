// The file of signing keys: loaded, created if the server owns it, rotated, and watched, so that all servers that share it
// follow. A JWKS with private keys. `nbf` and `exp` of a key say when it starts to sign and when it is removed.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { maximumLifetime } from '../core/access-token.ts'
import { findPublished, isRotationDue, type Overlap, rotate } from '../core/key-schedule.ts'
import { pasetoVersion } from '../core/paseto.ts'
import type { KnownKey } from '../core/server-keys.ts'
import { FileProblem, type Finding, quoteForShell } from '../files/file-problem.ts'
import { createKeyRing, type KeyRing } from '../keys/key-ring.ts'
import {
  type Algorithm,
  generateTokenKey,
  importSigningKeys,
  isPasetoKey,
  type KeyAlgorithm,
  parseTokenJwk,
  type SigningKey,
  type TokenJwk,
  thumbprint,
} from '../keys/token-keys.ts'
import type { KeyChange } from '../server/record-events.ts'
import { documentLifetime } from '../server/routes/metadata.ts'
import { keepOwner, whileLocked } from './file-lock.ts'
import { readJsonFile } from './files.ts'

/** Other parties may cache a key set this long, and no token is valid for more than a day. */
const overlap: Overlap = { before: documentLifetime, after: maximumLifetime }

/** Milliseconds between two checks of the file. */
const pollInterval = 10_000

/** Creates the file with one key unless it exists. Returns whether it was created. */
export async function ensureKeysFile(path: string, algorithm: Algorithm): Promise<boolean> {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return false
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  write(path, [{ ...(await generateTokenKey(algorithm)), nbf: Math.floor(Date.now() / 1000) }], 'wx')
  return true
}

/**
 * Creates a file with a key for each algorithm, which sign from `now` on, in seconds since 1970, and returns their ids. Never replaces
 * a file.
 * @throws FileProblem (rejects)
 */
export async function createKeysFile(path: string, list: readonly KeyAlgorithm[], now: number): Promise<string[]> {
  const keys = await Promise.all(list.map(generateTokenKey))
  try {
    write(
      path,
      keys.map(key => ({ ...key, nbf: now })),
      'wx',
    )
  } catch (error) {
    throw new FileProblem(path, describeUncreated(path, error as NodeJS.ErrnoException))
  }
  return keys.map(({ kid }) => kid)
}

function describeUncreated(path: string, { code }: NodeJS.ErrnoException): Finding {
  const rotate = `add a key to it with tlsbound keys rotate --file ${quoteForShell(path)}, or pass another path`
  if (code === 'EEXIST') return { found: 'this file exists, and is not replaced', remedy: rotate }
  const folder = quoteForShell(dirname(path))
  if (code === 'ENOENT')
    return { found: `the folder ${folder} does not exist`, remedy: `create it: mkdir -p ${folder}` }
  return { found: `this file cannot be created (${code})` }
}

/** Loads the keys. @throws Error that names the file and the invalid key, and never quotes either. */
export function readKeysFile(path: string): TokenJwk[] {
  const { keys } = readJsonFile(path, 'object', { isSecret: true }) as { readonly keys?: unknown }
  if (!Array.isArray(keys) || keys.length === 0) throw new Error(`${path}: must be a JWKS with at least one key`)
  try {
    return keys.map(parseTokenJwk)
  } catch (error) {
    throw withPath(path, error)
  }
}

/** Loads the keys and imports them. @throws Error as above. */
export async function importKeysFile(path: string): Promise<SigningKey[]> {
  const keys = readKeysFile(path)
  return prefixError(path, () => importSigningKeys(keys))
}

/** Loads the keys into a ring. `now` in seconds since 1970. @throws Error (rejects) as above. */
export async function loadKeyRing(path: string, now: number): Promise<KeyRing> {
  const keys = await importKeysFile(path)
  return prefixError(path, () => createKeyRing(keys, now))
}

/** An added key, and the second from which it signs. */
export interface Rotated {
  readonly kid: string
  readonly nbf: number
}

/**
 * Adds a key that starts to sign after it was published long enough, and sets an expiry for the earlier keys for the same kind of
 * token, JWT or PASETO.
 * @throws Error (rejects) when the file is invalid, or when another process is rotating it.
 */
export function rotateKeysFile(path: string, algorithm: KeyAlgorithm, now: number): Promise<Rotated> {
  return whileLocked(path, () => addKey(path, algorithm, now))
}

/** Rotates the keys if due. Checks again under the lock, since servers that share the file find it due at the same time. */
async function rotateIfDue(path: string, algorithm: Algorithm, now: number, age: number): Promise<void> {
  for (const next of findDue(path, algorithm, now, age))
    await whileLocked(path, async () =>
      findDue(path, algorithm, now, age).includes(next) ? addKey(path, next, now) : undefined,
    )
}

/** Returns the algorithm of the next key for each kind of token, JWT or PASETO, whose keys are due for rotation. */
function findDue(path: string, algorithm: Algorithm, now: number, age: number): KeyAlgorithm[] {
  const keys = readKeysFile(path)
  return ([algorithm, pasetoVersion] as const).filter(next => {
    const { same } = splitKeys(keys, next)
    return same.length > 0 && isRotationDue(same, now, age, overlap)
  })
}

/** Adds a key, which replaces those for the same kind of token only. The first one of a kind waits too: others cache the key set. */
async function addKey(path: string, algorithm: KeyAlgorithm, now: number): Promise<Rotated> {
  const key = await generateTokenKey(algorithm)
  const { same, others } = splitKeys(readKeysFile(path), algorithm)
  write(path, [...findPublished(others, now), ...rotate(same, key, now, overlap)])
  return { kid: key.kid, nbf: now + overlap.before }
}

/** Separates the keys for the kind of token that a key of this algorithm signs, JWT or PASETO, from the other keys. */
function splitKeys(keys: readonly TokenJwk[], algorithm: KeyAlgorithm): Record<'same' | 'others', TokenJwk[]> {
  const isPaseto = algorithm === pasetoVersion
  return {
    same: keys.filter(key => isPasetoKey(key) === isPaseto),
    others: keys.filter(key => isPasetoKey(key) !== isPaseto),
  }
}

/**
 * Follows the file: applies changes to the ring, and with `maximumAge` (seconds) rotates keys when due. `onChange` receives
 * each changed key. `report` receives errors; the keys in use then stay. If `onChange` throws, a later check calls it with
 * the same keys again. `clock` in milliseconds since 1970.
 */
export function watchKeysFile(
  path: string,
  ring: KeyRing,
  {
    clock,
    maximumAge,
    mayRotate = () => true,
    algorithm,
    report,
    onChange,
    onReplace,
    record = `${path}.seen`,
  }: WatchOptions,
): KeysWatch {
  let seen: string | undefined // not the current version: the file may have changed since it was loaded
  const remember = createKeyMemory(record)
  let isPending = false
  const takeOver = (keys: readonly SigningKey[]) => {
    try {
      remember(keys, onChange)
      isPending = false
    } catch (error) {
      if (!isPending) report(`a change of the signing keys is not recorded yet: ${(error as Error).message}`)
      isPending = true
    }
  }
  let withheld = ''
  const rotateOrExplain = async (now: number, age: number) => {
    const due = mayRotate() ? [] : findDue(path, algorithm, now, age)
    if (due.join() !== withheld && due.length > 0) report(describeWithheld(due))
    withheld = due.join()
    if (mayRotate()) await rotateIfDue(path, algorithm, now, age)
  }
  takeOver(ring.all) // they can differ from those of the last run
  const poll = async () => {
    try {
      const now = Math.floor(clock() / 1000)
      if (maximumAge !== undefined) await rotateOrExplain(now, maximumAge)
      const version = keysFileVersion(path)
      if (version !== undefined && version === seen) return isPending ? takeOver(ring.all) : undefined
      const jwks = readKeysFile(path)
      const keys = await prefixError(path, () => importSigningKeys(jwks))
      await prefixError(path, () => ring.replace(keys, now))
      seen = version
      const replaced = onReplace?.(jwks)
      takeOver(keys)
      await replaced
    } catch (error) {
      report(`the signing keys stay as they are: ${(error as Error).message}`)
    }
  }
  const timer = setInterval(() => poll().catch(() => {}), pollInterval) // it rejects only when `report` does
  timer.unref()
  return { poll, stop: () => clearInterval(timer) }
}

function describeWithheld(due: readonly KeyAlgorithm[]): string {
  const kinds = due.map(algorithm => (algorithm === pasetoVersion ? 'PASETO' : 'JWTs')).join(' and ')
  const commands = due.map(algorithm => `tlsbound keys rotate --algorithm ${algorithm}`).join(' and ')
  return (
    `the signing keys for ${kinds} are due for rotation, and are not rotated: other servers on this database do not read this file. ` +
    `Run ${commands}, and copy the file to every server within five minutes`
  )
}

export interface KeysWatch {
  /** Checks the file at once. */
  poll(): Promise<void>
  stop(): void
}

export interface WatchOptions {
  readonly clock: () => number
  readonly maximumAge: number | undefined
  /** Whether keys may be rotated now. Default: they may. */
  readonly mayRotate?: (() => boolean) | undefined
  readonly algorithm: Algorithm
  readonly report: (problem: string) => void
  readonly onChange: (key: KnownKey, change: KeyChange) => void
  /** Receives the private keys that the ring has from now on. Must neither throw nor reject; a poll waits for its promise. */
  readonly onReplace?: ((keys: readonly TokenJwk[]) => void | Promise<void>) | undefined
  /** Where the keys are recorded that this server has used. Servers that share the file need one each. Default: beside the file. */
  readonly record?: string | undefined
}

/**
 * Records the keys in a file, if that is writable, so that the next start notices a key that was added while this server did not
 * run. Returns a function that compares the keys in use with the recorded ones and passes the differences to `report`.
 * If `report` throws, it rethrows and records nothing.
 */
function createKeyMemory(path: string): (keys: readonly SigningKey[], report: WatchOptions['onChange']) => void {
  let before = readKnownKeys(path)
  return (keys, report) => {
    const now = keys.map(describeKey)
    if (JSON.stringify(now) === JSON.stringify(before)) return
    for (const key of now) {
      const change = findChange(key, before)
      if (change !== undefined) report(key, change)
    }
    for (const key of before ?? []) if (!now.some(({ kid }) => kid === key.kid)) report(key, 'removed')
    before = now
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeWhole(path, JSON.stringify(now), dirname(path))
    } catch {} // the state record is not writable either, which is logged at the start
  }
}

/** Returns what is recorded of a key: enough to notice that another key has its id, or that its times have changed. */
export function describeKey({ kid, nbf, exp, publicJwk }: SigningKey): KnownKey {
  return { kid, nbf, exp, alg: publicJwk.alg, thumbprint: thumbprint(publicJwk) }
}

function findChange(key: KnownKey, known: readonly KnownKey[] | undefined): KeyChange | undefined {
  if (known === undefined) return 'present'
  const former = known.find(({ kid }) => kid === key.kid)
  if (former === undefined) return 'added'
  if (former.thumbprint !== key.thumbprint || former.alg !== key.alg) return 'changed'
  return former.nbf === key.nbf && former.exp === key.exp ? undefined : 'rescheduled'
}

/** Loads the recorded keys. Undefined if the file is missing or invalid. */
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

/** Writes a file atomically, with the owner of the file beside it. */
function writeWhole(path: string, text: string, beside: string): void {
  const draft = `${path}.new`
  writeFileSync(draft, text, { mode: 0o600, flush: true })
  keepOwner(beside, draft)
  renameSync(draft, path)
}

/** Returns what differs after each change of the file, and is the same for all who read this file. Undefined: it cannot be read. */
export function keysFileVersion(path: string): string | undefined {
  try {
    const { ino, mtimeMs, ctimeMs } = statSync(path) // two rotations can come within one tick of the file system's clock
    return `${ino} ${mtimeMs} ${ctimeMs}`
  } catch {
    return undefined
  }
}

/** Adds the file's path to an error that a function throws or rejects with. */
async function prefixError<T>(path: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw withPath(path, error)
  }
}

function withPath(path: string, error: unknown): Error {
  return new Error(`${path}: ${(error as Error).message}`)
}
