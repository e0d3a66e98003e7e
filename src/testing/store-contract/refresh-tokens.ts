// What a store promises about the use of refresh tokens. N-42, N-43, RE01.
import type { Revocation } from '../../core/revocations.ts'
import type { RefreshUse, Store } from '../../store/store.ts'
import { type AddPromises, forever, listen, start, type Time } from './contract.ts'
import { grant, successor } from './grant.ts'

export const refreshTokenPromises: AddPromises = (promise, open) => {
  promise('rotates a refresh token, and returns the same successor to each later use (N-42, N-43)', async t => {
    const [one, other, time] = await open(t.context)
    await one.createGrant(grant('g1'), 'r1')
    t.same(await one.rotateRefreshToken('r1', successor('r2'), time.now), { outcome: 'rotated', grant: grant('g1') })
    t.match(await one.findRefreshToken('r1'), { state: 'used' })
    const again = { outcome: 'retried', grant: grant('g1'), sealed: 'sealed r2' }
    for (const [index, wait] of [0, 500, 1000, 30_000, 18_000].entries()) {
      await time.pass(wait)
      t.same(await (index % 2 ? one : other).rotateRefreshToken('r1', successor(`x${index}`), time.now), again)
      t.equal(await one.findRefreshToken(`x${index}`), undefined, 'no other successor is stored')
    }
    t.match(await one.findRefreshToken('r2'), { state: 'unused' })
    t.match(await other.rotateRefreshToken('r2', successor('r3'), time.now), { outcome: 'rotated' }, 'it works')
    t.match(await one.findRefreshToken('r3'), { state: 'unused' })
    t.same(await one.rotateRefreshToken('never', successor('x'), start), { outcome: 'unknown' })
  })

  for (const [words, detail, reuse, isSince] of [
    [
      'after a minute',
      'answer_lost',
      async (store, time, use) => {
        await time.pass(60_000)
        return store.rotateRefreshToken('r1', successor('x'), time.now, use)
      },
      since => since >= 60_000,
    ],
    [
      'after its successor was used',
      'reused',
      async (store, time, use) => {
        await store.rotateRefreshToken('r2', successor('r3'), time.now)
        return store.rotateRefreshToken('r1', successor('x'), time.now, use)
      },
      since => since < 60_000,
    ],
    [
      'a minute after its successor was used',
      'reused',
      async (store, time, use) => {
        await store.rotateRefreshToken('r2', successor('r3'), time.now)
        await time.pass(60_000)
        return store.rotateRefreshToken('r1', successor('x'), time.now, use)
      },
      since => since >= 60_000,
    ],
  ] as [
    string,
    string,
    (store: Store, time: Time, use?: RefreshUse) => ReturnType<Store['rotateRefreshToken']>,
    (sinceFirstUse: number) => boolean,
  ][]) {
    promise(`refuses a refresh token that is used again ${words}, and changes nothing (N-42)`, async t => {
      const [one, other, time] = await open(t.context)
      await one.createGrant(grant('g1'), 'r1')
      const { heard, stop } = await listen(one)
      await one.rotateRefreshToken('r1', successor('r2'), time.now)
      const { sinceFirstUse, ...reused } = (await reuse(other, time)) as { readonly sinceFirstUse: number }
      t.same(reused, { outcome: 'reused', grant: grant('g1'), detail })
      t.ok(isSince(sinceFirstUse), `${sinceFirstUse} milliseconds since the first use`)
      t.same(heard, [], 'nothing is revoked')
      t.equal(await one.findRefreshToken('x'), undefined)
      const last = detail === 'reused' ? 'r3' : 'r2'
      t.match(await other.rotateRefreshToken(last, successor('r4'), time.now), { outcome: 'rotated' }, 'the last token')
      stop()
    })

    promise(`revokes the grant of a refresh token that is used again ${words}, if asked to (N-42)`, async t => {
      const [one, other, time] = await open(t.context)
      await one.createGrant(grant('g1'), 'r1')
      await one.createGrant(grant('bystander'), 'b1')
      const { heard, stop } = await listen(one)
      const far = await listen(other)
      t.match(await one.rotateRefreshToken('r1', successor('r2'), start), { outcome: 'rotated' }, 'control')
      t.match(await reuse(one, time, { revokesReused: true }), { outcome: 'reused', grant: { id: 'g1' }, detail })
      t.match(
        heard,
        [{ kind: 'revocation', revocation: { kind: 'grant', value: 'g1' } }],
        'notified before it resolved',
      )
      t.ok(
        (heard[0] as { revocation: Revocation }).revocation.expires >= 100_000 + 86_400,
        'outlives its access tokens',
      )
      await far.until(change => change.kind === 'revocation' && change.revocation.value === 'g1')
      for (const hash of ['r1', 'r2', 'r3'])
        for (const store of [one, other]) {
          const { outcome } = await store.rotateRefreshToken(hash, successor(`${hash}x`), start + 60_001)
          t.match(outcome, /^(revoked|unknown)$/, hash)
        }
      t.equal(await one.findRefreshToken('x'), undefined)
      t.match(await one.findRefreshToken('r2'), { state: 'revoked' })
      t.match(await one.rotateRefreshToken('b1', successor('b2'), start), { outcome: 'rotated' }, 'another grant')
      stop()
      far.stop()
    })
  }

  promise('binds a grant to another certificate with a use, and says which one it was bound to', async t => {
    const [one, other, time] = await open(t.context)
    await one.createGrant(grant('g1', { issuedAfter: 3 }), 'r1')
    const use = (certificate: string, at: number, issuedAfter?: number): RefreshUse => ({
      bindTo: { certificate, at, issuedAfter },
    })
    const bound = (certificate: string, rebound: number) => grant('g1', { certificate, rebound })
    t.same(
      await one.rotateRefreshToken('r1', successor('r2'), time.now, use('certificate-of-alice', 1500)),
      { outcome: 'rotated', grant: grant('g1', { issuedAfter: 3 }) },
      'the same certificate',
    )
    t.same(await other.rotateRefreshToken('r1', successor('x'), time.now, use('renewed', 1600, 7)), {
      outcome: 'retried',
      sealed: 'sealed r2',
      grant: { ...bound('renewed', 1600), issuedAfter: 7 },
      boundBefore: 'certificate-of-alice',
    })
    t.match(await one.findRefreshToken('r2'), { grant: { certificate: 'renewed', rebound: 1600, issuedAfter: 7 } })
    t.same(await one.rotateRefreshToken('r2', successor('r3'), time.now, use('third', 1700)), {
      outcome: 'rotated',
      grant: bound('third', 1700),
      boundBefore: 'renewed',
    })
    t.match(await one.rotateRefreshToken('r3', successor('r4'), time.now), { grant: bound('third', 1700) }, 'no other')
    const reused = await other.rotateRefreshToken('r1', successor('x'), time.now, use('fourth', 1800))
    t.match(reused, { outcome: 'reused', grant: bound('third', 1700) })
    t.match(await one.findRefreshToken('r4'), { grant: bound('third', 1700) }, 'a refused use binds nothing')
    await one.createGrant(grant('g2', { rotation: 'static' }), 's1')
    t.match(await one.rotateRefreshToken('s1', successor('x'), time.now, use('renewed', 1600)), {
      outcome: 'static',
      boundBefore: 'certificate-of-alice',
    })
  })

  promise('revokes a grant with the certificate that it was last bound to', async t => {
    const [one, other, time] = await open(t.context)
    await one.revoke({ kind: 'certificate', value: 'renewed', notBefore: 1500, expires: forever })
    const rebinding = { bindTo: { certificate: 'renewed', at: 1600 } }
    for (const id of ['g1', 'g2']) {
      await one.createGrant(grant(id), id)
      const moved = await other.rotateRefreshToken(id, successor(`${id}b`), time.now, rebinding)
      t.match(moved, { outcome: 'rotated' }, 'a mark from before counts for tokens from before')
    }
    t.match(await one.findRefreshToken('g1b'), { state: 'unused' })
    await one.revoke({ kind: 'certificate', value: 'certificate-of-alice', notBefore: 1700, expires: forever })
    t.match(await other.rotateRefreshToken('g1b', successor('g1c'), time.now), { outcome: 'rotated' })
    await one.revoke({ kind: 'certificate', value: 'renewed', notBefore: 1700, expires: 1800 })
    t.equal(await one.removeExpired(99_999, 100), 0, 'the marks are stored as long as the grants')
    for (const hash of ['g1c', 'g2b'])
      t.match(await other.rotateRefreshToken(hash, successor('x'), time.now, rebinding), { outcome: 'revoked' }, hash)
    await one.createGrant(grant('g3', { certificate: 'renewed', created: 1650 }), 'g3')
    const away = { bindTo: { certificate: 'third', at: 1750 } }
    t.match(await one.rotateRefreshToken('g3', successor('x'), time.now, away), { outcome: 'revoked' }, 'no way out')
  })

  promise('does not rotate a static refresh token before its grant ends (N-43)', async t => {
    const [one, other] = await open(t.context)
    await one.createGrant(grant('g1', { rotation: 'static' }), 'r1')
    for (const [index, now] of [start, start, start + 1, start + 70_000, 99_999_999].entries())
      t.match(await (index % 2 ? one : other).rotateRefreshToken('r1', successor(`x${index}`), now), {
        outcome: 'static',
      })
    t.equal(await one.findRefreshToken('x0'), undefined)
    t.same(await one.rotateRefreshToken('r1', successor('x'), 100_000_000), {
      outcome: 'expired',
      grant: grant('g1', { rotation: 'static' }),
    })
    await one.revoke({ kind: 'grant', value: 'g1', notBefore: 0, expires: forever })
    t.match(await other.rotateRefreshToken('r1', successor('x'), start), { outcome: 'revoked' })
  })

  promise('does not extend a grant by its use', async t => {
    const [store] = await open(t.context)
    await store.createGrant(grant('g1'), 'r1')
    t.match(await store.rotateRefreshToken('r1', successor('r2'), 99_999_999), { outcome: 'rotated' }, 'control')
    t.match(await store.rotateRefreshToken('r2', successor('r3'), 100_000_000), {
      outcome: 'expired',
      grant: { expires: 100_000 },
    })
    t.equal(await store.findRefreshToken('r3'), undefined)
  })

  promise('returns one successor to fifty parallel uses of a refresh token (N-42)', async t => {
    const [one, other, time] = await open(t.context)
    await one.createGrant(grant('g1'), 'r1')
    const { now } = time
    const uses = Array.from({ length: 50 }, (_, index) =>
      (index % 2 ? one : other).rotateRefreshToken('r1', successor(`${index}`), now + index),
    )
    const found = await Promise.all(uses)
    const winner = found.findIndex(({ outcome }) => outcome === 'rotated')
    const { hash, sealed } = successor(`${winner}`)
    for (const [index, refresh] of found.entries())
      if (index !== winner) t.match(refresh, { outcome: 'retried', sealed })
    for (const index of found.keys())
      if (index !== winner) t.equal(await one.findRefreshToken(`${index}`), undefined, 'only one successor is stored')
    t.match(await other.rotateRefreshToken(hash, successor('next'), time.now), { outcome: 'rotated' })
  })
}
