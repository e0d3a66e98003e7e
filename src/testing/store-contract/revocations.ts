// What a store promises about revocations. DS12.
import { afterlife, buildRevocation, type Revocation } from '../../core/revocations.ts'
import { type AddPromises, forever, listen, start } from './contract.ts'
import { grant, successor } from './grant.ts'

export const revocationPromises: AddPromises = (promise, open) => {
  for (const [kind, value] of [
    ['token', 'r1'],
    ['grant', 'g1'],
    ['client', 'alice'],
    ['certificate', 'certificate-of-alice'],
    ['all', 'whatever'],
  ] as const) {
    promise(
      `refuses the refresh tokens of ${kind === 'all' ? 'everything' : `a ${kind}`} that is revoked, and no others`,
      async t => {
        const [one, other] = await open(t.context)
        const bob = { clientId: 'bob', certificate: 'certificate-of-bob' }
        await one.createGrant(grant('g1'), 'r1')
        await one.createGrant(grant('g2', bob), 'r2')
        await one.createGrant(grant('later', { created: 1500 }), 'r3')
        t.match(await one.findRefreshToken('r1'), { state: 'unused' }, 'control')
        await one.revoke({ kind, value, notBefore: 1500, expires: forever })
        t.match(await other.findRefreshToken('r1'), { state: 'revoked' })
        t.match(await other.rotateRefreshToken('r1', successor('x'), start), {
          outcome: 'revoked',
          grant: { id: 'g1' },
        })
        t.equal(await one.findRefreshToken('x'), undefined)
        const { outcome } = await other.rotateRefreshToken('r2', successor('r2b'), start)
        t.equal(outcome, kind === 'all' ? 'revoked' : 'rotated', 'of another client with another certificate')
        t.match(
          await other.rotateRefreshToken('r3', successor('r3b'), start),
          { outcome: 'rotated' },
          'not issued before that second',
        )
        await one.revoke({ kind, value, notBefore: 1, expires: 1 })
        t.match(await other.findRefreshToken('r1'), { state: 'revoked' }, 'a weaker one changes nothing')
      },
    )

    if (kind === 'token') continue // it does not cover its successors
    promise(
      `after a revocation of ${kind === 'all' ? 'everything' : `a ${kind}`} has resolved, no use of its refresh tokens that begins then succeeds`,
      async t => {
        const [one, other] = await open(t.context)
        const chains = Array.from({ length: 8 }, (_, index) => `g${index}`)
        for (const id of chains) await one.createGrant(grant(id), id)
        let revoked = false
        let afterwards = 0
        let used = 0
        const use = async (id: string, index: number) => {
          const store = index % 2 ? one : other
          for (let count = 0, hash = id; count < 10_000; count++) {
            const next = `${id}-${count}`
            // The result of a use that was stored before the revocation can arrive after that of the revocation.
            const isLate = revoked
            const { outcome } = await store.rotateRefreshToken(hash, successor(next), start + count)
            if (outcome !== 'rotated') return outcome
            used++
            if (isLate) afterwards++
            hash = next
          }
          return 'never revoked'
        }
        const users = chains.map(use)
        while (used < 30) await new Promise(setImmediate)
        for (const each of kind === 'grant' ? chains : [value])
          await one.revoke({ kind, value: each, notBefore: 2000, expires: forever })
        revoked = true
        t.same(
          await Promise.all(users),
          chains.map(() => 'revoked'),
        )
        t.equal(afterwards, 0)
        for (const id of chains) t.match(await other.findRefreshToken(id), { state: 'revoked' })
      },
    )
  }

  promise('counts the grants that a revocation concerns, and which of them are still valid', async t => {
    const [one, other] = await open(t.context)
    await one.createGrant(grant('g1'), 'r1')
    await one.createGrant(grant('g2'), 'r2')
    await one.createGrant(grant('old', { expires: 1400 }), 'r3')
    await one.createGrant(grant('g4', { clientId: 'bob', certificate: 'certificate-of-bob', created: 1600 }), 'r4')
    const count = (kind: Revocation['kind'], value: string, limit = 100) =>
      other.countGrants({ kind, value }, 1400, limit)
    t.same(await count('client', 'alice'), { stored: 3, valid: 2 })
    t.same(await count('client', 'alice', 1), { stored: 1, valid: 1 }, 'at most the limit, the latest first')
    t.same(await count('certificate', 'certificate-of-bob'), { stored: 1, valid: 1 })
    t.same(await count('grant', 'g1'), { stored: 1, valid: 1 })
    t.same(await count('all', 'whatever'), { stored: 4, valid: 3 })
    for (const [kind, value] of [
      ['client', "' OR 1=1 --"],
      ['certificate', ''],
      ['grant', 'G1'],
      ['token', 'r1'],
    ] as const)
      t.same(await count(kind, value), { stored: 0, valid: 0 }, kind)
    await one.revoke({ kind: 'grant', value: 'g1', notBefore: 0, expires: forever })
    t.same(await count('client', 'alice'), { stored: 3, valid: 1 })
    await one.revoke({ kind: 'all', value: '', notBefore: 1500, expires: forever })
    t.same(await count('all', ''), { stored: 4, valid: 1 }, 'a grant that was created after the mark stays valid')
  })

  promise(
    'stores a revocation as long as an affected grant may be valid, even beyond its own expiry (DS12)',
    async t => {
      const [store] = await open(t.context)
      await store.createGrant(grant('g1'), 'r1')
      await store.createGrant(grant('g2', { clientId: 'bob' }), 'r2')
      await store.revoke({ kind: 'client', value: 'alice', notBefore: 1500, expires: 1600 })
      await store.revoke({ kind: 'token', value: 'an access token', notBefore: 0, expires: 1600 })
      t.equal(await store.removeExpired(99_999, 100), 1, 'that of the access token')
      t.match(await store.rotateRefreshToken('r1', successor('x'), start), { outcome: 'revoked' })
      t.match(await store.rotateRefreshToken('r2', successor('x'), start), { outcome: 'rotated' }, 'control')
    },
  )

  promise('stores a revocation as long as a grant that was being created at the same time', async t => {
    const [one, other] = await open(t.context)
    const late = { created: 1499, expires: 1_000_000 }
    const rows = [
      ['client', 'alice', {}],
      ['certificate', 'certificate-of-bob', { clientId: 'bob', certificate: 'certificate-of-bob' }],
      ['all', '', { clientId: 'carol', certificate: 'certificate-of-carol' }],
    ] as const
    for (const [kind, value, owner] of rows) {
      await one.revoke({ kind, value, notBefore: 1500, expires: 2000 })
      await other.createGrant(grant(`late ${kind}`, { ...late, ...owner }), `late ${kind}`)
    }
    t.equal(await one.removeExpired(900_000, 100), 0)
    for (const [kind] of rows)
      t.match(await other.rotateRefreshToken(`late ${kind}`, successor('x'), start), { outcome: 'revoked' }, kind)
    let removed = 0
    for (let step = 1; step > 0; removed += step) step = await one.removeExpired(1_000_001 + afterlife, 100)
    t.equal(removed, 9, '3 refresh tokens, 3 grants, 3 revocations')
  })

  promise('stores every kind of revocation until the last access token of its grants has expired', async t => {
    const [one, other] = await open(t.context)
    for (const [kind, value] of [
      ['token', 'r1'],
      ['grant', 'g1'],
      ['client', 'alice'],
      ['certificate', 'certificate-of-alice'],
      ['all', ''],
    ] as const) {
      if (kind === 'token') await one.createGrant(grant('g1'), 'r1')
      await one.revoke(buildRevocation(kind, value, 2000))
    }
    const { heard, stop } = await listen(other)
    stop()
    for (const change of heard)
      t.ok(change.kind === 'revocation' && change.revocation.expires >= 100_000 + afterlife, JSON.stringify(change))
    t.equal(heard.length, 5)
  })

  promise('refuses a grant that was being created when its client was revoked', async t => {
    const [one, other] = await open(t.context)
    await one.revoke({ kind: 'client', value: 'alice', notBefore: 1500, expires: forever })
    await other.createGrant(grant('g1', { created: 1499 }), 'r1')
    await other.createGrant(grant('g2', { created: 1500 }), 'r2')
    t.match(await one.rotateRefreshToken('r1', successor('x'), start), { outcome: 'revoked' })
    t.match(await one.rotateRefreshToken('r2', successor('x'), start), { outcome: 'rotated' }, 'control')
  })
}
