// What a store promises about grants and access tokens.
import { ConflictError } from '../../store/store.ts'
import { type AddPromises, start } from './contract.ts'
import { grant, successor } from './grant.ts'

export const grantPromises: AddPromises = (promise, open) => {
  promise('finds a grant by the hash of its refresh token only, with all its members', async t => {
    const [one, other] = await open(t.context)
    const odd = { subject: `O'Neil "\\ \u2028 \u{1f511}`, scope: '', actor: '{"sub":"proxy","act":{"sub":"é"}}' }
    const grants = [
      grant('g1'),
      grant('g2', odd),
      grant('g3', {
        binding: 'certificate',
        rotation: 'static',
        clientId: 'bob',
        created: 0,
        expires: 4_102_444_800,
      }),
    ]
    for (const each of grants) await one.createGrant(each, `hash of ${each.id}`)
    for (const store of [one, other])
      for (const each of grants)
        t.same(await store.findRefreshToken(`hash of ${each.id}`), {
          grant: each,
          state: each.rotation === 'static' ? 'static' : 'unused',
        })
    for (const hash of ['', 'g1', "' OR 1=1 --"]) t.equal(await one.findRefreshToken(hash), undefined, hash)
  })

  promise('accepts an id or a hash only once, and stores nothing of a refused grant', async t => {
    const [store] = await open(t.context)
    await store.createGrant(grant('g1'), 'r1')
    await t.rejects(store.createGrant(grant('g1'), 'r2'), ConflictError, 'the same id')
    await t.rejects(store.createGrant(grant('g2'), 'r1'), ConflictError, 'the same hash')
    t.equal(await store.findRefreshToken('r2'), undefined)
    await store.createGrant(grant('g2'), 'r2')
    await t.rejects(store.rotateRefreshToken('r1', successor('r2'), start), ConflictError, 'a successor that exists')
    t.match(await store.findRefreshToken('r1'), { state: 'unused' })
    t.match(await store.rotateRefreshToken('r1', successor('r3'), start), { outcome: 'rotated' })
    await store.keepAccessToken('a1', '{}', 1)
    await t.rejects(store.keepAccessToken('a1', '{}', 1), ConflictError)
  })

  promise('isolates a refused call from parallel ones', async t => {
    const [store] = await open(t.context)
    await store.createGrant(grant('taken'), 'taken')
    const ids = Array.from({ length: 20 }, (_, index) => `g${index}`)
    const results = await Promise.allSettled(
      ids.flatMap(id => [store.createGrant(grant(id), id), store.createGrant(grant(`${id}'`), 'taken')]),
    )
    t.same(
      results.map(({ status }) => status),
      ids.flatMap(() => ['fulfilled', 'rejected']),
    )
    for (const id of ids) t.match(await store.findRefreshToken(id), { grant: { id } })
  })

  promise('finds the claims of an opaque access token by its hash', async t => {
    const [one, other] = await open(t.context)
    const claims = JSON.stringify({ sub: 'a\u0000b\u{1f511}', cnf: { 'x5t#S256': 'x' } })
    await one.keepAccessToken('a1', claims, 5000)
    t.equal(await other.findAccessToken('a1'), claims)
    t.equal(await other.findAccessToken('a2'), undefined)
    t.equal(await one.findRefreshToken('a1'), undefined, 'an access token is not a refresh token')
    t.equal(await one.removeExpired(5000, 10), 0)
    t.equal(await one.removeExpired(5001, 10), 1)
    t.equal(await other.findAccessToken('a1'), undefined)
  })
}
