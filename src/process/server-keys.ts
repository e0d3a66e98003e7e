// What each server that shares a store records of itself, and sentences about signing keys and clocks that differ.
import { clockTolerance } from '../core/access-token.ts'
import { compareKeys, isHarmful, type KeyDifference, type KnownKey } from '../core/server-keys.ts'
import type { KnownServer } from '../store/store.ts'

export interface ServerDescription {
  /** The name of its machine, and its process. */
  readonly name: string
  readonly keys: readonly KnownKey[]
  /** The version of its file of keys, which servers that read one file have in common; absent: its keys are in no file. */
  readonly file?: string | undefined
  /** Milliseconds by which its clock is ahead of that of the store; absent: not measured yet. */
  readonly ahead?: number | undefined
}

/** Parses a record. Undefined for one of another version of this program. */
export function parseDescription({ description }: Pick<KnownServer, 'description'>): ServerDescription | undefined {
  try {
    const { name, keys, file, ahead } = JSON.parse(description)
    const isKnown = typeof name === 'string' && ['number', 'undefined'].includes(typeof ahead) && Array.isArray(keys)
    return isKnown && keys.every(isKnownKey) ? { name, keys, file, ahead } : undefined
  } catch {
    return undefined
  }
}

function isKnownKey(key: Partial<KnownKey> | null): boolean {
  return [key?.kid, key?.alg, key?.thumbprint].every(text => typeof text === 'string')
}

/** What to do about signing keys that differ, by the file that contains those of this server, if there is one. */
export function keysRemedy(keysFile: string | undefined): string {
  if (keysFile === undefined) return 'pass the same keys to each server'
  return (
    `copy the other server's file of signing keys to ${keysFile}, or create one for all servers with tlsbound keys create FILE and ` +
    'name it in TLSBOUND_SIGNING_KEYS_FILE of each (docs/how-to/run-several-servers.md)'
  )
}

/** Describes why this server and another one refuse each other's tokens now. Undefined: they accept them. `now` in seconds since 1970. */
export function describeConflict(own: readonly KnownKey[], other: ServerDescription, now: number): string | undefined {
  const harmful = compareKeys(own, other.keys, now).filter(difference => isHarmful(difference, now))
  if (harmful.length === 0) return undefined
  return `the signing keys differ from those of another server on this database (${other.name}): ${list(harmful)}; each refuses tokens of the other`
}

/** Describes which tokens will be refused when a key begins to sign. Undefined: none. */
export function describeUpcoming(own: readonly KnownKey[], other: ServerDescription, now: number): string | undefined {
  const upcoming = compareKeys(own, other.keys, now).filter(difference => !isHarmful(difference, now))
  if (upcoming.length === 0) return undefined
  const from = new Date(Math.min(...upcoming.map(({ from }) => from)) * 1000).toISOString()
  return `the signing keys differ from those of another server on this database (${other.name}) and will be used from ${from} on: ${list(upcoming)}`
}

/** Describes clocks of two servers so far apart that the slower one refuses new tokens. Undefined: they are not. */
export function describeClocks(ahead: number | undefined, other: ServerDescription): string | undefined {
  if (ahead === undefined || other.ahead === undefined) return undefined
  const difference = ahead - other.ahead
  if (Math.abs(difference) < clockTolerance * 1000) return undefined
  const seconds = Math.round(Math.abs(difference) / 1000)
  return (
    `this clock is ${seconds} s ${difference > 0 ? 'ahead of' : 'behind'} that of another server on this database (${other.name}): ` +
    `${difference > 0 ? 'that server' : 'this server'} refuses new tokens of ${difference > 0 ? 'this' : 'that'} one; synchronize both clocks with NTP`
  )
}

function list(differences: readonly KeyDifference[]): string {
  const sentences = {
    here: (kid: string) => `key ${kid} of that server is missing here`,
    there: (kid: string) => `key ${kid} of this server is missing there`,
    content: (kid: string) => `key ${kid} has another content there`,
  }
  return differences.map(({ kid, what }) => sentences[what](kid)).join(', ')
}
