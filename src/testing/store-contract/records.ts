// What a store promises about notes, notifications and expired records. DS12.
import { afterlife } from '../../core/revocations.ts'
import { notesLimit } from '../../store/notes.ts'
import { spoolLimit } from '../../store/notifications.ts'
import { ConflictError, type Store } from '../../store/store.ts'
import { type AddPromises, listen, notification, start } from './contract.ts'
import { grant, successor } from './grant.ts'

export const recordPromises: AddPromises = (promise, open) => {
  promise('removes expired records in small steps, and no others (DS12)', async t => {
    const [store] = await open(t.context)
    for (let index = 0; index < 5; index++) {
      await store.createGrant(grant(`old${index}`, { expires: 3000 }), `o${index}`)
      t.match(await store.rotateRefreshToken(`o${index}`, successor(`p${index}`), start), { outcome: 'rotated' })
    }
    await store.createGrant(grant('g1'), 'r1')
    await store.keepAccessToken('a1', '{}', 3000)
    await store.keepAccessToken('a2', '{}', 5000)
    await store.revoke({ kind: 'token', value: 't1', notBefore: 1, expires: 3000 })
    await store.revoke({ kind: 'token', value: 't2', notBefore: 1, expires: 5000 })
    await store.revoke({ kind: 'token', value: 't3', notBefore: 1, expires: 200_000 })
    t.equal(await store.removeExpired(3000, 100), 0, 'not yet')
    t.equal(await store.removeExpired(3001, 100), 2, '1 access token, 1 revocation')
    t.match(await store.findRefreshToken('p0'), { grant: { id: 'old0' } }, 'its access tokens can still be revoked')
    t.equal(await store.findAccessToken('a2'), '{}')
    t.equal(await store.removeExpired(3000 + afterlife, 1), 1, '1 access token')
    t.equal(await store.removeExpired(3000 + afterlife, 100), 1, '1 revocation')
    const steps: number[] = []
    for (let removed = 1; removed > 0; steps.push(removed)) removed = await store.removeExpired(3001 + afterlife, 4)
    t.same(steps, [4, 4, 4, 3, 0], '10 refresh tokens, 5 grants')
    t.equal(await store.findRefreshToken('p0'), undefined)
    t.match(await store.rotateRefreshToken('p0', successor('x'), start), { outcome: 'unknown' })
    t.match(await store.findRefreshToken('r1'), { state: 'unused' })
    const { heard, stop } = await listen(store)
    t.match(heard, [{ revocation: { value: 't3' } }])
    t.equal(heard.length, 1)
    stop()
  })

  promise('stores notes per client, and returns the requested number, newest first, whatever their text', async t => {
    const [one, other] = await open(t.context)
    for (let count = 1; count <= 5; count++) await one.addNote('alice', `note ${count}`, count)
    const note = await one.addNote('bob', 'of bob', 6)
    t.match(note, { id: Number, text: 'of bob', created: 6 })
    const texts = async (client: string, limit: number) =>
      (await other.listNotes(client, limit)).map(({ text }) => text)
    t.same(await texts('alice', 3), ['note 5', 'note 4', 'note 3'])
    t.same(await other.listNotes('bob', 3), [note])
    t.same(await texts('nobody', 3), [])
    for (const text of [
      "'; DROP TABLE notes; --",
      'a\u0000b',
      '%',
      '?',
      '$1',
      '\u2028\u{1f511}',
      'a'.repeat(100_000),
    ]) {
      await one.addNote('carol', text, 1)
      t.same(await texts('carol', 1), [text])
    }
  })

  promise('limits the notes of a client by count and octets, and removes the oldest first', async t => {
    const [one, other] = await open(t.context)
    await one.addNote('bob', 'of bob', 1)
    for (let count = 1; count <= notesLimit.count + 5; count++)
      await (count % 2 ? one : other).addNote('alice', `note ${count}`, count)
    const texts = async (client: string) => (await other.listNotes(client, 1000)).map(({ text }) => text)
    t.same(
      await texts('alice'),
      Array.from({ length: notesLimit.count }, (_, index) => `note ${notesLimit.count + 5 - index}`),
    )
    const odd = '\u0000'.repeat(2000) // six octets each
    for (let count = 0; count < 60; count++) await one.addNote('alice', odd, count)
    const octets = Buffer.byteLength(JSON.stringify(odd))
    t.equal((await texts('alice')).length, Math.floor(notesLimit.octets / octets))
    t.equal((await one.addNote('alice', 'x'.repeat(notesLimit.octets), 1)).text.length, notesLimit.octets)
    t.equal((await texts('alice')).length, 1, 'the newest one stays, however long')
    t.same(await texts('bob'), ['of bob'], 'of another client')
  })

  promise('reserves a notification for one claimant, in the order of their times, until it is done', async t => {
    const [one, other] = await open(t.context)
    for (const [id, due] of [
      ['n1', 50],
      ['n2', 40],
      ['n3', 40],
      ['later', 500],
    ] as const)
      t.equal(await one.spoolNotification(notification(id, { due })), true)
    t.equal(await one.spoolNotification(notification('elsewhere', { receiver: 'another', due: 400 })), true)
    await t.rejects(other.spoolNotification(notification('n1')), ConflictError, 'an id is used once')
    t.same(await other.findDueReceivers(39), [])
    t.same(await other.findDueReceivers(100), ['receiver'])
    t.same(await other.findDueReceivers(400), ['another', 'receiver'])

    const claim = (store: Store, now: number, limit = 10) =>
      store.claimNotifications('receiver', { now, until: now + 60, limit })
    t.same(await claim(one, 100, 2), [
      { id: 'n2', body: '{"id":"n2"}', attempts: 1 },
      { id: 'n3', body: '{"id":"n3"}', attempts: 1 },
    ])
    t.same(await claim(other, 100), [{ id: 'n1', body: '{"id":"n1"}', attempts: 1 }])
    t.same(await claim(one, 159), [], 'all of them are reserved')
    await one.removeNotification('n2')
    await one.postponeNotification('n3', 1, 300)
    t.match(await claim(one, 160), [{ id: 'n1', attempts: 2 }], 'the first claimant was killed')
    await other.postponeNotification('n1', 1, 161)
    t.same(await claim(other, 161), [], 'and can no longer change it')
    t.match(await claim(other, 300), [
      { id: 'n1', attempts: 3 },
      { id: 'n3', attempts: 2 },
    ])

    const racing = ['n4', 'n5', 'n6', 'n7', 'n8', 'n9']
    for (const id of racing) await one.spoolNotification(notification(id))
    const claims = racing.map((_, index) => claim(index % 2 ? one : other, 1000, 3))
    const won = (await Promise.all(claims)).flat().map(({ id }) => id)
    won.push(...(await claim(one, 1000)).map(({ id }) => id)) // those that all others skipped
    t.same(won.filter(id => racing.includes(id)).toSorted(), racing, 'each once')
  })

  promise('limits the queue of a receiver by number and age (DS12)', async t => {
    const [one, other] = await open(t.context)
    const kept = new Set<boolean>()
    for (let from = 0; from < spoolLimit; from += 20) {
      const ids = Array.from({ length: 20 }, (_, index) => `n${from + index}`)
      const spooled = ids.map((id, index) => (index % 2 ? one : other).spoolNotification(notification(id)))
      for (const each of await Promise.all(spooled)) kept.add(each)
    }
    t.same([...kept], [true])
    t.equal(await one.spoolNotification(notification('too many')), false)
    t.equal(await one.spoolNotification(notification('elsewhere', { receiver: 'another' })), true, 'control')
    await one.removeNotification('n7')
    t.equal(await one.spoolNotification(notification('has room', { expires: 5000 })), true)
    t.equal(await one.removeExpired(3000, 10_000), 0, 'control')
    t.equal(await one.removeExpired(3001, 10_000), spoolLimit)
    t.match(await other.claimNotifications('receiver', { now: 100, until: 160, limit: 10 }), [{ id: 'has room' }])
  })
}
