// A notifier in a test, with a store in memory, a clock that can be set, and its reports.
import type { Facts } from '../../../src/audit/event.ts'
import type { KnownReceiver } from '../../../src/notify/line.ts'
import { createNotifier, type Notifier } from '../../../src/notify/notifier.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import type { Store } from '../../../src/store/store.ts'

export interface TestNotifier extends Notifier {
  readonly store: Store
  readonly reports: readonly Facts[]
  /** Milliseconds since 1970. */
  now: number
  /** Advances the clock while nothing is in progress, sends what is due, and waits for the attempts. */
  pass(seconds: number): Promise<void>
}

/** It ends with the test. */
export function startNotifier(
  t: { teardown(end: () => unknown): void },
  receivers: readonly KnownReceiver[],
  { store = openSqlite(':memory:'), timeout = 10_000 }: { store?: Store; timeout?: number } = {},
): TestNotifier {
  const reports: Facts[] = []
  let now = 1_800_000_000_000
  const notifier = createNotifier(receivers, { store, timeout, clock: () => now, report: facts => reports.push(facts) })
  t.teardown(async () => {
    await notifier.close()
    await store.close()
  })
  return {
    ...notifier,
    store,
    reports,
    get now() {
      return now
    },
    set now(milliseconds) {
      now = milliseconds
    },
    async pass(seconds) {
      await notifier.poll()
      now += seconds * 1000
      await notifier.poll()
    },
  }
}
