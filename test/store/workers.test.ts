// The store of a worker: the contract, over a channel to the process that owns the store, and what happens when that process
// does not answer. N-42, RE01, DS12.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { createPeer, type Message, type Peer } from '../../src/process/workers/peer.ts'
import { createRemoteStore } from '../../src/process/workers/store-client.ts'
import { shareStore } from '../../src/process/workers/store-server.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { listen, unavailable } from '../../src/testing/store-contract/contract.ts'
import { grant } from '../../src/testing/store-contract/grant.ts'
import { createTime, storeContract, type Time } from '../../src/testing/store-contract/store-contract.ts'

t.setTimeout(120_000)

/** Starts the stores of two workers of one owner. */
function start(t: Pick<Test, 'teardown'>, owned: Store) {
  const shared = shareStore(owned, time => time)
  const connect = () => {
    const { port1, port2 } = new MessageChannel()
    const owner: Peer = createPeer(
      messages => port1.postMessage(messages),
      shared.serve(() => owner),
    )
    const remote = createRemoteStore(
      () => peer,
      time => time,
    )
    const peer: Peer = createPeer(messages => port2.postMessage(messages), remote.handlers)
    let isHeld = false
    const held: Message[] = []
    port1.on('message', (messages: Message[]) => (isHeld ? held.push(...messages) : owner.receive(messages)))
    port2.on('message', (messages: Message[]) => peer.receive(messages))
    t.teardown(async () => {
      await remote.store.close()
      port1.close()
      await once(port2, 'close')
    })
    return {
      store: remote.store,
      peer,
      owner,
      /** Stops the owner from receiving, or continues. */
      hold(hold: boolean) {
        isHeld = hold
        if (!hold) owner.receive(held.splice(0))
      },
    }
  }
  return { shared, one: connect(), other: connect() }
}

async function open(t: Test): Promise<[Store, Store, Time]> {
  const owned = openSqlite(join(t.testdir(), 'state.db'))
  const { one, other } = start(t, owned)
  t.teardown(() => owned.close())
  return [one.store, other.store, createTime()]
}

for (const { title, run } of storeContract(open)) t.test(title, run)

t.test('is up to date when a long transfer of all changes ends, so that its worker refuses no request', async t => {
  const owned = openSqlite(':memory:')
  const follow: Store['follow'] = async (...given) => {
    await pause(500)
    return owned.follow(...given)
  }
  const { one } = start(t, { ...owned, follow })
  t.teardown(() => owned.close())
  await one.store.follow(() => {})
  const age = one.store.millisecondsSinceSync()
  t.ok(age < 400, `${age} ms`)
})

t.test('acknowledges a revocation when every worker has applied it (DS12)', async t => {
  const owned = openSqlite(':memory:')
  const { shared, one, other } = start(t, owned)
  t.teardown(() => owned.close())
  const [first, second] = [await listen(one.store), await listen(other.store)]
  for (let round = 0; round < 50; round++) {
    const store = [one.store, other.store, shared.store][round % 3] as Store
    await store.revoke({ kind: 'token', value: `t${round}`, notBefore: 1, expires: 2000 })
    for (const { heard } of [first, second]) t.match(heard.at(-1), { revocation: { value: `t${round}` } })
  }
})

t.test('is outdated while the owner is silent, and is up to date when it has answered again', async t => {
  const owned = openSqlite(':memory:')
  const { one } = start(t, owned)
  t.teardown(() => owned.close())
  t.equal(one.store.millisecondsSinceSync(), Number.POSITIVE_INFINITY, 'before the first follow')
  const { heard } = await listen(one.store)
  t.ok(one.store.millisecondsSinceSync() < 400)
  one.hold(true)
  await owned.revoke({ kind: 'token', value: 'x', notBefore: 1, expires: 2000 })
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.ok(one.store.millisecondsSinceSync() > 1000, 'no question was answered')
  one.hold(false)
  await new Promise(resolve => setTimeout(resolve, 700))
  t.ok(one.store.millisecondsSinceSync() < 1000)
  t.match(heard, [{ revocation: { value: 'x' } }])
})

t.test('a listener that throws is outdated until it has received what it missed, in order', async t => {
  const owned = openSqlite(':memory:')
  const { one } = start(t, owned)
  t.teardown(() => owned.close())
  const received: number[] = []
  let isFailing = true
  await one.store.follow(({ sequence }) => {
    if (isFailing && received.length === 2) throw new Error('cannot be applied')
    received.push(sequence)
  })
  const revoke = (value: string) => one.store.revoke({ kind: 'token', value, notBefore: 1, expires: 2000 })
  for (const value of ['a', 'b', 'c', 'd']) await revoke(value)
  t.equal(received.length, 2)
  t.equal(one.store.millisecondsSinceSync(), Number.POSITIVE_INFINITY)
  isFailing = false
  await new Promise(resolve => setTimeout(resolve, 700))
  t.equal(received.length, 4)
  t.same(
    received,
    received.toSorted((a, b) => a - b),
  )
  t.ok(one.store.millisecondsSinceSync() < 1000)
})

t.test('a value that cannot be sent rejects its call, and ends nothing else', async t => {
  const owned = openSqlite(':memory:')
  const { one } = start(t, owned)
  t.teardown(() => owned.close())
  await t.rejects(one.peer.call('check', [() => {}]), unavailable)
  await t.resolves(one.store.check())
  await t.rejects(one.peer.call('close'), /cannot be asked for close/, 'a worker cannot close the store')
})

t.test('rejects what the owner has not answered when it ends, and everything after that', async t => {
  const owned = openSqlite(':memory:')
  const { one } = start(t, owned)
  t.teardown(() => owned.close())
  await t.resolves(one.store.createGrant(grant('g1'), 'r1'), 'control')
  one.hold(true)
  const pending = [one.store.createGrant(grant('g2'), 'r2'), one.store.check()]
  one.peer.close()
  for (const call of pending) await t.rejects(call, unavailable)
  await t.rejects(one.store.findRefreshToken('r1'), unavailable)
})
