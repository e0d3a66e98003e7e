// What a store promises about the servers that use it, and about its end. I8, RE06.
import { type AddPromises, notification, start, unavailable } from './contract.ts'
import { grant, successor } from './grant.ts'

export const serverPromises: AddPromises = (promise, open) => {
  promise('rejects all calls after closing, and can be closed twice (I8)', async t => {
    const [store] = await open(t.context)
    await t.resolves(store.check(), 'control')
    const last = store.createGrant(grant('g1'), 'r1')
    await store.close()
    await t.resolves(last, 'pending calls are completed')
    const calls: [string, () => Promise<unknown>][] = [
      ['check', () => store.check()],
      ['createGrant', () => store.createGrant(grant('g2'), 'r2')],
      ['findRefreshToken', () => store.findRefreshToken('r1')],
      ['rotateRefreshToken', () => store.rotateRefreshToken('r1', successor('r3'), start)],
      ['keepAccessToken', () => store.keepAccessToken('a1', '{}', 1)],
      ['findAccessToken', () => store.findAccessToken('a1')],
      ['revoke', () => store.revoke({ kind: 'all', value: '', notBefore: 1, expires: 1 })],
      ['follow', () => store.follow(() => {})],
      ['putClient', () => store.putClient('alice', '{}')],
      ['disableClient', () => store.disableClient('alice', '{}')],
      ['enableClient', () => store.enableClient('alice')],
      ['listClients', () => store.listClients()],
      ['removeClient', () => store.removeClient('alice')],
      ['putSecret', () => store.putSecret('alice', 's1', 'x')],
      ['removeSecret', () => store.removeSecret('alice', 's1')],
      ['listSecrets', () => store.listSecrets('alice')],
      ['addNote', () => store.addNote('alice', 'x', 1)],
      ['listNotes', () => store.listNotes('alice', 1)],
      ['spoolNotification', () => store.spoolNotification(notification('n1'))],
      ['findDueReceivers', () => store.findDueReceivers(1)],
      ['claimNotifications', () => store.claimNotifications('receiver', { now: 1, until: 2, limit: 1 })],
      ['postponeNotification', () => store.postponeNotification('n1', 1, 2)],
      ['removeNotification', () => store.removeNotification('n1')],
      ['removeExpired', () => store.removeExpired(1, 1)],
    ]
    const { recordServer, removeServer } = store
    if (recordServer !== undefined) calls.push(['recordServer', () => recordServer({ id: 's1', description: '' })])
    if (removeServer !== undefined) calls.push(['removeServer', () => removeServer('s1')])
    for (const [name, call] of calls) await t.rejects(call(), unavailable, name)
    await t.resolves(store.close())
  })

  promise('records the servers that use the store, if several can, and asks before it admits one', async t => {
    const [one, other] = await open(t.context)
    if (one.recordServer === undefined || other.recordServer === undefined) return
    const description = JSON.stringify({ name: `O'Neil "\\ \u2028` })
    const first = await one.recordServer({ id: 's1', description })
    t.same({ ...first, now: 0 }, { others: [], now: 0, isRecorded: true })
    t.ok(Math.abs(first.now - Date.now()) < 86_400_000, 'milliseconds since 1970')
    const found: unknown[] = []
    const refused = await other.recordServer({ id: 's2', description: '{}' }, given => found.push(given) < 0)
    t.match(refused, { others: [{ id: 's1', description }], isRecorded: false })
    t.same(found.at(-1), { others: refused.others, now: refused.now }, 'asked for the same servers')
    t.same(
      (await one.recordServer({ id: 's1', description })).others,
      [],
      'a server that is not admitted is not recorded',
    )
    const admitted = await other.recordServer({ id: 's2', description: '{}' }, () => true)
    t.match(admitted, { others: [{ id: 's1', description }], isRecorded: true })
    t.ok((admitted.others[0]?.seen ?? 0) >= (refused.others[0]?.seen ?? 0), 'the time of the last record')
    t.match((await one.recordServer({ id: 's1', description: 'new' })).others, [{ id: 's2', description: '{}' }])
    t.match((await other.recordServer({ id: 's2', description: '{}' })).others, [{ id: 's1', description: 'new' }])
    await one.removeServer?.('s1')
    await one.removeServer?.('never')
    t.same((await other.recordServer({ id: 's2', description: '{}' })).others, [])
  })

  promise('admits one of many servers that exclude each other', async t => {
    const stores = await open(t.context)
    const attempts = Array.from({ length: 10 }, async (_, index) =>
      stores[index % 2 === 0 ? 0 : 1].recordServer?.(
        { id: `s${index}`, description: '' },
        ({ others }) => others.length === 0,
      ),
    )
    const results = await Promise.all(attempts)
    if (results[0] !== undefined) t.equal(results.filter(result => result?.isRecorded === true).length, 1)
  })
}
