// The store of a worker: every call goes to the primary process, which owns the store. Changes arrive in their order, before
// the answer of the call that made them.
import type { Change, Store } from '../../store/store.ts'
import { unavailable } from '../../store/work.ts'
import type { Handlers, Peer } from './peer.ts'

/** Milliseconds between two questions whether all changes have arrived, and before a listener that threw is called again. */
const heartbeat = 500

/** Milliseconds within which all stored changes must have arrived. */
const longestStart = 60_000

/** A listener, under the number of its subscription. */
interface Follower {
  readonly listener: (change: Change) => void
  /** Sequence number of the last change that it has received. */
  position: number
}

export interface RemoteStore {
  readonly store: Store
  /** What the primary process calls. */
  readonly handlers: Handlers
}

/** Calls that are passed on as they are. */
const passed = [
  ...(['check', 'identify', 'acknowledge', 'createGrant', 'findRefreshToken', 'keepAccessToken'] as const),
  ...([
    'findAccessToken',
    'revoke',
    'countGrants',
    'putClient',
    'disableClient',
    'enableClient',
    'listClients',
  ] as const),
  ...(['removeClient', 'putSecret', 'removeSecret', 'listSecrets', 'addNote', 'listNotes'] as const),
  ...(['spoolNotification', 'findDueReceivers', 'claimNotifications', 'postponeNotification'] as const),
  ...(['removeNotification', 'removeExpired'] as const),
] satisfies readonly (keyof Store)[]

/**
 * Creates the store over a connection to the primary process. `toShared` converts milliseconds of the monotonic clock of this
 * process to the clock that all processes have.
 */
export function createRemoteStore(getPeer: () => Peer, toShared: (time: number) => number): RemoteStore {
  const followers = new Map<number, Follower>()
  /** Listeners that have thrown, and do not have all changes again yet. */
  const behind = new Set<Follower>()
  const underWay = new Set<Promise<unknown>>()
  let lastId = 0
  /** When the question was asked that the primary has answered last, and how old its own knowledge was. */
  let heard = Number.NEGATIVE_INFINITY
  let silence = 0
  let onPosition: (position: number) => void = () => {}
  let timer: NodeJS.Timeout | undefined
  let closed: Promise<void> | undefined

  function call(name: string, parameters: readonly unknown[], limit?: number): Promise<unknown> {
    if (closed !== undefined) return Promise.reject(unavailable(new Error('the store is closed')))
    const answer = getPeer().call(name, parameters, limit)
    underWay.add(answer)
    const settled = () => void underWay.delete(answer)
    answer.then(settled, settled)
    return answer
  }

  /** The primary answers in the order of its messages, so that all earlier changes have arrived before its answer. */
  async function ask(): Promise<void> {
    const start = performance.now()
    silence = (await call('sync', [])) as number
    heard = start
  }

  /** Subscribes a listener to the changes after its position. Resolves with the number of the subscription. */
  async function subscribe(follower: Follower): Promise<number> {
    const start = performance.now()
    const id = ++lastId
    followers.set(id, follower)
    try {
      await call('follow', [id, follower.position], longestStart)
    } catch (error) {
      followers.delete(id)
      throw error
    }
    heard = Math.max(heard, start)
    return id
  }

  /** A new subscription sends again what a listener that threw has missed, and all that follows, in order. */
  function catchUp(follower: Follower): void {
    behind.add(follower)
    const again = async () => {
      if (closed !== undefined || !behind.has(follower)) return
      try {
        const id = await subscribe(follower)
        if (followers.has(id)) behind.delete(follower)
      } catch {
        catchUp(follower)
      }
    }
    setTimeout(again, heartbeat).unref()
  }

  function unsubscribe(follower: Follower): void {
    behind.delete(follower)
    for (const [id, other] of followers)
      if (other === follower) {
        followers.delete(id)
        getPeer().tell('unfollow', id)
      }
  }

  const handlers: Handlers = {
    changes(id: number, changes: readonly Change[]) {
      const follower = followers.get(id)
      if (follower === undefined) return
      try {
        for (const change of changes) {
          follower.listener(change)
          follower.position = change.sequence
        }
      } catch {
        unsubscribe(follower)
        catchUp(follower)
      }
    },
    position: (position: number) => onPosition(position),
    applied: () => undefined,
  }

  const calls = Object.fromEntries(passed.map(name => [name, (...given: unknown[]) => call(name, given)]))
  const store: Store = {
    ...(calls as unknown as Pick<Store, (typeof passed)[number]>),
    rotateRefreshToken(hash, successor, now, { arrived = performance.now(), ...use } = {}) {
      const given = [hash, successor, now, { ...use, arrived: toShared(arrived) }]
      return call('rotateRefreshToken', given) as ReturnType<Store['rotateRefreshToken']>
    },
    watchPosition(listener) {
      onPosition = listener
      getPeer().tell('watchPosition')
    },
    async follow(listener, since = 0) {
      const follower: Follower = { listener, position: since }
      await subscribe(follower)
      await ask().catch(() => {}) // sending many changes takes longer than the state may be old
      timer ??= setInterval(() => ask().catch(() => {}), heartbeat).unref() // without an answer the state is outdated
      return () => unsubscribe(follower)
    },
    millisecondsSinceSync: () => (behind.size > 0 ? Number.POSITIVE_INFINITY : performance.now() - heard + silence),
    close() {
      clearInterval(timer)
      closed ??= Promise.allSettled([...underWay]).then(() => {})
      return closed
    },
  }
  return { store, handlers }
}
