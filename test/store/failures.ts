// Shared by the tests of failing stores: the duration of refusals and recoveries, and load with a journal.
import type { Test } from 'tap'
import type { Store } from '../../src/store/store.ts'
import { unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant, successor } from '../../src/testing/store-contract/grant.ts'

/** Retries until it succeeds. Resolves with the milliseconds that it took. */
export async function recovery(use: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  for (;;)
    try {
      await use()
      return performance.now() - start
    } catch (error) {
      if (performance.now() - start > 10_000) throw error
      await new Promise(resolve => setTimeout(resolve, 10))
    }
}

/** Resolves with the milliseconds until a refusal. */
export async function refusal(t: Test, use: () => Promise<unknown>, words: string): Promise<void> {
  const start = performance.now()
  await t.rejects(use(), unavailable, words)
  const took = performance.now() - start
  t.ok(took < 3000, `${words}: refused after ${Math.round(took)} ms`)
}

/** Uses stores as fast as possible until stopped, and records what they have acknowledged. */
export function load(stores: readonly Store[]) {
  const acknowledged: { event: string; id: string }[] = []
  const refusals: unknown[] = []
  let running = true
  const attempt = async (event: string, id: string, change: () => Promise<unknown>) => {
    try {
      await change()
      acknowledged.push({ event, id })
      return true
    } catch (error) {
      refusals.push(error)
      return false
    }
  }
  const live = async (caller: number) => {
    const store = stores[caller % stores.length] as Store
    for (let count = 0; running && count < 100_000; count++) {
      const id = `${caller}-${count}`
      const revocation = { kind: 'grant', value: id, notBefore: 1, expires: 1_000_000 } as const
      if (!(await attempt('created', id, () => store.createGrant(grant(id), `${id}-0`)))) continue
      if (!(await attempt('rotated', id, () => store.rotateRefreshToken(`${id}-0`, successor(`${id}-1`), 2_000_000))))
        continue
      if (count % 3 === 0) await attempt('revoked', id, () => store.revoke(revocation))
    }
  }
  const callers = Promise.all(Array.from({ length: 6 }, (_, caller) => live(caller)))
  return {
    acknowledged,
    refusals,
    async more(count: number) {
      const enough = acknowledged.length + count
      const limit = performance.now() + 10_000
      while (acknowledged.length < enough && performance.now() < limit) await new Promise(setImmediate)
    },
    async compare(t: Test, store: Store) {
      running = false
      await callers
      const lost: string[] = []
      const check = async ({ event, id }: { event: string; id: string }) => {
        const states = await Promise.all([0, 1].map(each => store.findRefreshToken(`${id}-${each}`)))
        const words = states.map(known => known?.state ?? 'lost').join()
        const good = {
          created: /^(unused|used|revoked),/,
          rotated: /^(used,unused|revoked,revoked)$/,
          revoked: /^revoked,revoked$/,
        }
        if (!good[event as keyof typeof good].test(words)) lost.push(`${event} ${id}: ${words}`)
      }
      await Promise.all(acknowledged.map(check))
      t.same(lost, [], `${acknowledged.length} changes acknowledged, ${refusals.length} refused`)
      for (const error of refusals) t.match(error, unavailable)
    },
  }
}
