// What a store promises to those who follow its changes.
import type { Change } from '../../store/store.ts'
import { type AddPromises, listen, until } from './contract.ts'

export const changePromises: AddPromises = (promise, open) => {
  promise('sends a follower all stored changes, then all new ones, in order and once', async t => {
    const [one, other] = await open(t.context)
    await one.putClient('alice', '{}')
    await one.revoke({ kind: 'token', value: 't1', notBefore: 1, expires: 2000 })
    await one.revoke({ kind: 'token', value: 't1', notBefore: 5, expires: 1000 })
    const { heard, stop } = await listen(one)
    t.match(heard, [
      { kind: 'client', client: { id: 'alice' } },
      { kind: 'revocation', revocation: { kind: 'token', value: 't1', notBefore: 5, expires: 2000 } },
    ])
    const since = heard.at(-1)?.sequence ?? 0
    const far = await listen(other, since)
    t.same(far.heard, [], 'nothing is newer')
    await one.putSecret('alice', 's1', 'scrypt')
    t.match(
      heard[2],
      { client: { id: 'alice', secrets: [{ id: 's1', hash: 'scrypt' }] } },
      'notified before it resolved',
    )
    await one.revoke({ kind: 'all', value: 'x', notBefore: 7, expires: 2000 })
    t.match(heard[3], { revocation: { kind: 'all', value: '', notBefore: 7 } })
    const took = await far.until(change => change.kind === 'revocation')
    t.ok(took < 1000, `the other server was notified after ${Math.round(took)} ms`)
    t.same(far.heard, heard.slice(2))
    t.ok(one.millisecondsSinceSync() < 1000)

    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 ? one : other).revoke({ kind: 'grant', value: `g${index}`, notBefore: 1, expires: 2000 }),
      ),
    )
    for (const listener of [{ heard, until: far.until }, far]) {
      await far.until(() => heard.length >= 44 && far.heard.length >= 42)
      const numbers = listener.heard.map(({ sequence }) => sequence)
      t.same(
        numbers,
        [...new Set(numbers)].toSorted((a, b) => a - b),
        'in order, each once',
      )
    }
    const late = await listen(other, since)
    t.same(late.heard, heard.slice(2), 'a returning follower has missed nothing')
    for (const each of [stop, far.stop, late.stop]) each()
    await one.revoke({ kind: 'token', value: 't2', notBefore: 1, expires: 2000 })
    t.equal(heard.length, 44, 'a follower that left is not notified')
  })

  promise('notifies a listener that throws again, and does not affect others', async t => {
    const [store] = await open(t.context)
    const told: Change[] = []
    let isFailing = false
    await store.follow(change => {
      if (isFailing) throw new Error('a throwing listener')
      told.push(change)
    })
    const other = await listen(store)
    isFailing = true
    await store.revoke({ kind: 'token', value: 't1', notBefore: 1, expires: 2000 })
    await other.until(({ kind }) => kind === 'revocation')
    t.same(told, [])
    await until(() => store.millisecondsSinceSync() > 100) // the gap is unknown until then
    isFailing = false
    await until(() => told.length > 0)
    t.same(told, other.heard)
    await until(() => store.millisecondsSinceSync() < 1000)
    await store.revoke({ kind: 'token', value: 't2', notBefore: 1, expires: 2000 })
    await until(() => told.length === 2)
    t.same(told, other.heard, 'control: each once')
  })
}
