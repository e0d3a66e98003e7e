// The store contract itself: it finds a store that breaks a promise, and runs under the test runner of Node.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { createTime, storeContract } from '../../src/testing/store-contract/store-contract.ts'

/** The titles of the tests that a store fails. */
async function findBroken(change: (store: Store) => Partial<Store>, among: RegExp): Promise<string[]> {
  const open = async () => {
    const real = openSqlite(':memory:')
    const store = { ...real, ...change(real) }
    return [store, store, createTime()] as const
  }
  const tests = storeContract(open).filter(({ title }) => among.test(title))
  if (tests.length === 0) throw new Error('no such test')
  const broken: string[] = []
  for (const { title, run } of tests) await run(undefined).catch(() => broken.push(title))
  return broken
}

t.test('finds a store that breaks one promise, and passes one that keeps it', async t => {
  const cases: readonly (readonly [string, RegExp, (store: Store) => Partial<Store>])[] = [
    ['forgets', /claims of an opaque/, () => ({ findAccessToken: async () => undefined })],
    ['takes an id twice', /only once/, () => ({ createGrant: async () => {} })],
    [
      'rotates twice',
      /^rotates a refresh token/,
      store => ({
        rotateRefreshToken: async (hash, successor, now) =>
          ({ ...(await store.rotateRefreshToken(hash, successor, now)), outcome: 'rotated' }) as never,
      }),
    ],
    ['does not notify', /sends a follower all stored changes/, () => ({ follow: async () => () => {} })],
    ['revokes nothing', /refresh tokens of a client that is revoked/, () => ({ revoke: async () => {} })],
    [
      'revokes late',
      /no use of its refresh tokens that begins then/,
      store => ({
        revoke: async revocation => {
          setTimeout(() => store.revoke(revocation), 20)
        },
      }),
    ],
    [
      'loses a member',
      /with all its members/,
      store => ({
        findRefreshToken: async hash => {
          const known = await store.findRefreshToken(hash)
          return known && { ...known, grant: { ...known.grant, subject: '' } }
        },
      }),
    ],
    ['answers after close', /rejects all calls after closing/, () => ({ listClients: async () => [] })],
  ]
  for (const [name, among, change] of cases) {
    t.ok((await findBroken(change, among)).length > 0, name)
    t.same(await findBroken(() => ({}), among), [], `control: ${name}`)
  }
})

t.test('runs under the test runner of Node', async t => {
  const file = join(t.testdir(), 'store.test.mjs')
  const from = (name: string) => JSON.stringify(resolve(name))
  writeFileSync(
    file,
    `import { test } from 'node:test'
     import { openSqlite } from ${from('src/store/sqlite.ts')}
     import { createTime, storeContract } from ${from('src/testing/store-contract/store-contract.ts')}
     const open = async t => {
       const store = openSqlite(':memory:')
       t.after(() => store.close())
       return [store, store, createTime()]
     }
     for (const { title, run } of storeContract(open)) test(title, run)`,
  )
  const flags = ['--conditions=tlsbound-source', '--test', '--test-reporter=tap', file]
  const { PATH = '' } = process.env
  const { status, stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8', env: { PATH }, timeout: 100_000 })
  t.equal(status, 0, stdout.slice(-500))
  t.match(stdout, /# fail 0/)
})
