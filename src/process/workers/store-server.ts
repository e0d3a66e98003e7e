// Serves the store of the primary process to its workers. A change is acknowledged when every worker has applied it, so that
// a revoked token is refused on all connections of the server from its acknowledgement on.
import type { Change, Refresh, Store } from '../../store/store.ts'
import type { Handlers, Peer } from './peer.ts'

/** Milliseconds that the acknowledgement of a change waits for a worker; one that is slower is soon outdated, and refuses. */
const longestWait = 1000

/** Calls whose changes every worker must learn. */
const announced = [
  ...(['revoke', 'putClient', 'disableClient', 'enableClient', 'removeClient', 'putSecret', 'removeSecret'] as const),
] satisfies readonly (keyof Store)[]

export interface SharedStore {
  /** The store for the primary process itself. */
  readonly store: Store
  /** What a worker calls. */
  serve(getPeer: () => Peer): Handlers
  /** A worker has ended. */
  remove(peer: Peer): void
}

/** Shares `store`. `fromShared` converts milliseconds of the clock that all processes have to the monotonic one of this process. */
export function shareStore(store: Store, fromShared: (time: number) => number): SharedStore {
  /** The functions that stop following, of each worker that follows. */
  const following = new Map<Peer, Map<number, () => void>>()

  async function applied(): Promise<void> {
    await Promise.all([...following.keys()].map(peer => peer.call('applied', [], longestWait).catch(() => {})))
  }

  const announcing = Object.fromEntries(
    announced.map(name => [
      name,
      async (...parameters: unknown[]) => {
        const result = await (store[name] as (...given: unknown[]) => Promise<unknown>)(...parameters)
        await applied()
        return result
      },
    ]),
  ) as unknown as Pick<Store, (typeof announced)[number]>
  const shared: Store = {
    ...store,
    ...announcing,
    async rotateRefreshToken(...parameters): Promise<Refresh> {
      const refresh = await store.rotateRefreshToken(...parameters)
      if (refresh.outcome === 'reused') await applied()
      return refresh
    },
  }

  return {
    store: shared,
    remove(peer) {
      for (const stop of following.get(peer)?.values() ?? []) stop()
      following.delete(peer)
    },
    serve(getPeer) {
      const { close: _close, millisecondsSinceSync, ...calls } = shared
      async function follow(id: number, since: number): Promise<void> {
        const peer = getPeer()
        const stops = following.get(peer) ?? new Map<number, () => void>()
        stops.get(id)?.()
        following.set(peer, stops)
        stops.set(id, await store.follow((change: Change) => peer.tellItem('changes', id, change), since))
      }
      return {
        ...(calls as unknown as Handlers),
        rotateRefreshToken(...[hash, successor, now, use = {}]: Parameters<Store['rotateRefreshToken']>) {
          const { arrived } = use
          return shared.rotateRefreshToken(hash, successor, now, {
            ...use,
            ...(arrived !== undefined && { arrived: fromShared(arrived) }),
          })
        },
        watchPosition: () => store.watchPosition(position => getPeer().tell('position', position)),
        follow,
        unfollow(id: number) {
          const stops = following.get(getPeer())
          stops?.get(id)?.()
          stops?.delete(id)
        },
        sync: millisecondsSinceSync,
      }
    },
  }
}
