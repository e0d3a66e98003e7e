// The other servers that use the same store. A server does not start while a running one has other signing keys, since each
// would refuse the tokens of the other. Keys that differ later, such as during a rotation, are logged.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { KeyRing } from '../keys/key-ring.ts'
import type { ServerRecord, ServersFound, Store } from '../store/store.ts'
import {
  describeClocks,
  describeConflict,
  describeUpcoming,
  keysRemedy,
  parseDescription,
  type ServerDescription,
} from './server-keys.ts'
import { describeKey, keysFileVersion } from './signing-keys.ts'

/** Milliseconds between two records of a server. */
const heartbeat = 3000

/** Milliseconds between two attempts to start while another server has other keys, which may have ended. */
const retryAfter = 500

export interface JoinParts {
  readonly keys: KeyRing
  readonly keysFile: string | undefined
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>
}

export interface OtherServers {
  /** Whether every other running server reads the same file of signing keys. */
  shareKeysFile(): boolean
  /** Stops following the other servers, and removes the record of this one. Never rejects. */
  leave(): Promise<void>
}

/**
 * Joins the servers that use the store, and follows them. With other keys than those of a server that was killed, it waits until
 * the record of that one has expired. Rejects as the store does, and with one sentence if a running server has other keys.
 */
export async function joinServers(store: Store, { keys, keysFile, log }: JoinParts): Promise<OtherServers> {
  if (store.recordServer === undefined) return { shareKeysFile: () => true, leave: async () => {} }
  const record = store.recordServer.bind(store)
  const id = randomUUID()
  let ahead: number | undefined
  let others: readonly ServerDescription[] = []

  const describeSelf = () => ({
    name: `${hostname()}, process ${process.pid}`,
    keys: keys.all.map(describeKey),
    file: keysFile && keysFileVersion(keysFile),
    ahead,
  })
  async function recordSelf(admits?: (found: ServersFound) => boolean): Promise<ServerRecord> {
    const [start, wallClock] = [performance.now(), Date.now()]
    const result = await record({ id, description: JSON.stringify(describeSelf()) }, admits)
    const delay = performance.now() - start
    if (delay < 1000) ahead = Math.round(wallClock + delay / 2 - result.now)
    others = descriptionsOf(result)
    return result
  }
  const findConflict = (found: ServersFound) => {
    const own = keys.all.map(describeKey)
    return descriptionsOf(found)
      .map(other => describeConflict(own, other, found.now / 1000))
      .find(Boolean)
  }

  const firstSeen = new Map<string, number>()
  for (;;) {
    const result = await recordSelf(found => findConflict(found) === undefined)
    if (result.isRecorded) break
    // One that was killed does not record itself again.
    const running = result.others.filter(other => other.seen !== (firstSeen.get(other.id) ?? other.seen))
    const conflict = findConflict({ ...result, others: running })
    if (conflict !== undefined) throw new Error(`${conflict}; ${keysRemedy(keysFile)}`)
    if (firstSeen.size === 0) log.warn(`${findConflict(result)}: waiting up to 15 seconds to see whether it still runs`)
    for (const other of result.others) if (!firstSeen.has(other.id)) firstSeen.set(other.id, other.seen)
    await pause(retryAfter)
  }

  const report = createReport(log, keysFile)
  let beating: Promise<void> | undefined
  const beat = async () => {
    try {
      const { now } = await recordSelf()
      const own = keys.all.map(describeKey)
      report({
        conflict: others.map(other => describeConflict(own, other, now / 1000)).find(Boolean),
        upcoming: others.map(other => describeUpcoming(own, other, now / 1000)).find(Boolean),
        clocks: others.map(other => describeClocks(ahead, other)).find(Boolean),
      })
    } catch {} // every request that needs the store reports why it does not answer
    beating = undefined
  }
  const timer = setInterval(() => {
    beating ??= beat()
  }, heartbeat).unref()

  return {
    shareKeysFile() {
      const version = keysFile && keysFileVersion(keysFile)
      return others.every(({ file }) => file !== undefined && file === version)
    },
    async leave() {
      clearInterval(timer)
      await beating // it would record this server again
      await store.removeServer?.(id).catch(() => {}) // the record expires
    },
  }
}

function descriptionsOf({ others }: ServersFound): ServerDescription[] {
  return others.map(parseDescription).filter(description => description !== undefined)
}

interface Differences {
  readonly conflict: string | undefined
  readonly upcoming: string | undefined
  readonly clocks: string | undefined
}

/** Returns what logs differences to the other servers once, and their end. */
function createReport(log: JoinParts['log'], keysFile: string | undefined): (differences: Differences) => void {
  let before: Differences = { conflict: undefined, upcoming: undefined, clocks: undefined }
  return differences => {
    const { conflict, upcoming, clocks } = differences
    if (conflict !== undefined && conflict !== before.conflict) log.error(`${conflict}; ${keysRemedy(keysFile)}`)
    if (upcoming !== undefined && upcoming !== before.upcoming)
      log.warn(`${upcoming}; copy the file of signing keys to every server before then`)
    if (clocks !== undefined && before.clocks === undefined) log.error(clocks) // its seconds change each time
    const isAgreed = conflict === undefined && upcoming === undefined
    if (isAgreed && (before.conflict ?? before.upcoming) !== undefined)
      log.info('the signing keys are those of the other servers on this database again')
    before = differences
  }
}
