// What every store promises, as tests: for those of this package, and `import { storeContract } from 'tlsbound/store-contract'` for
// one of your own.
import '../../process/require-node.js'
import { assertions } from './assertions.ts'
import { changePromises } from './changes.ts'
import { clientPromises } from './clients.ts'
import type { OpenStores } from './contract.ts'
import { grantPromises } from './grants.ts'
import { recordPromises } from './records.ts'
import { refreshTokenPromises } from './refresh-tokens.ts'
import { revocationPromises } from './revocations.ts'
import { serverPromises } from './servers.ts'

export { createTime, type OpenStores, type Time } from './contract.ts'

/** One promise of a store. */
export interface ContractTest<Context> {
  readonly title: string
  /** Rejects with an AssertionError when the store does not keep the promise. */
  readonly run: (context: Context) => Promise<void>
}

const parts = [
  grantPromises,
  refreshTokenPromises,
  revocationPromises,
  clientPromises,
  changePromises,
  recordPromises,
  serverPromises,
]

/**
 * Returns the tests, for any runner: `for (const { title, run } of storeContract(open)) test(title, run)`.
 * They cover all of `Store`, and take a few seconds with a local database.
 */
export function storeContract<Context>(open: OpenStores<Context>): ContractTest<Context>[] {
  const tests: ContractTest<Context>[] = []
  for (const addPromises of parts)
    addPromises<Context>(
      (title, check) => void tests.push({ title, run: context => check({ ...assertions, context }) }),
      open,
    )
  return tests
}
