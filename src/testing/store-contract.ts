// What every store promises, as tests: for those of this package, and `import { storeContract } from 'tlsbound/store-contract'` for
// one of your own. N-42, N-43, RE01, RE06, DS12, I8.
import '../process/require-node.js'
import { afterlife, buildRevocation, type Revocation } from '../core/revocations.ts'
import { notesLimit } from '../store/notes.ts'
import { spoolLimit } from '../store/notifications.ts'
import { type Change, ConflictError, type Notification, type RefreshUse, type Store } from '../store/store.ts'
import { type Assertions, assertions } from './store-assertions.ts'
import { grant, successor } from './store-grant.ts'

/**
 * Opens two stores that share one new, empty state: two servers, as far as the kind of store allows that. `context` is what the
 * test runner gives a test, so that it can close them afterwards.
 */
export type OpenStores<Context> = (context: Context) => Promise<readonly [Store, Store, Time]>

/** One promise of a store. */
export interface ContractTest<Context> {
  readonly title: string
  /** Rejects with an AssertionError when the store does not keep the promise. */
  readonly run: (context: Context) => Promise<void>
}

/** The time for uses of refresh tokens, by whichever clock decides: the callers' times, and how time passes. */
export interface Time {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Lets milliseconds pass. */
  pass(milliseconds: number): Promise<void>
}

/** What a store that does not answer rejects with. */
export const unavailable = { name: 'OAuthError', code: 'temporarily_unavailable', reason: 'store_unavailable' }

/** Milliseconds since 1970: a time within the grant's lifetime. */
const start = 2_000_000

/**
 * Creates the time of a test. `age` makes all uses so far so many milliseconds older, where the store notes them by a clock of
 * its own.
 */
export function createTime(age: (milliseconds: number) => Promise<void> = async () => {}): Time {
  let now = start
  return {
    get now() {
      return now
    },
    async pass(milliseconds) {
      now += milliseconds
      await age(milliseconds)
    },
  }
}

const forever = 1_000_000

function notification(id: string, other: Partial<Notification> = {}): Notification {
  return { id, receiver: 'receiver', body: JSON.stringify({ id }), due: 30, expires: 3000, ...other }
}

/** Follows a store, and waits for changes without sleeping. */
export async function listen(store: Store, since?: number) {
  const heard: Change[] = []
  let wake = () => {}
  const stop = await store.follow(change => {
    heard.push(change)
    wake()
  }, since)
  return {
    heard,
    stop,
    /** Resolves with the milliseconds until `find` matches. Rejects after `limit`. */
    async until(find: (change: Change) => boolean, limit = 5000): Promise<number> {
      const begin = performance.now()
      while (!heard.some(find)) {
        const left = begin + limit - performance.now()
        if (left <= 0) throw new Error(`no such change within ${limit} ms`)
        await new Promise<void>(resolve => {
          wake = resolve
          setTimeout(resolve, left).unref()
        })
      }
      return performance.now() - begin
    },
  }
}

/**
 * Returns the tests, for any runner: `for (const { title, run } of storeContract(open)) test(title, run)`.
 * They cover all of `Store`, and take a few seconds with a local database.
 */
export function storeContract<Context>(open: OpenStores<Context>): ContractTest<Context>[] {
  const tests: ContractTest<Context>[] = []
  const promise = (title: string, check: (t: Assertions<Context>) => Promise<void>) =>
    void tests.push({ title, run: context => check({ ...assertions, context }) })

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

  promise('registers, changes, disables and removes clients, and reports each change', async t => {
    const [one, other] = await open(t.context)
    const { heard, stop } = await listen(one)
    await one.putClient('bob', '1')
    t.equal(await one.disableClient('alice', '2'), true, 'a client that is registered elsewhere')
    await one.putClient('bob', '3')
    t.same(await other.listClients(), [
      { id: 'alice', registration: '2', disabled: true, secrets: [] },
      { id: 'bob', registration: '3', disabled: false, secrets: [] },
    ])
    t.equal(await one.disableClient('alice', '4'), false, 'disabled already')
    t.equal(await one.disableClient('bob', '5'), true)
    await one.putClient('alice', '6')
    t.match(await other.listClients(), [
      { id: 'alice', registration: '6', disabled: true },
      { id: 'bob', registration: '3', disabled: true },
    ])
    t.equal(await one.enableClient('bob'), true)
    for (const id of ['bob', 'nobody']) t.equal(await one.enableClient(id), false, id)
    t.equal(await one.removeClient('alice'), true)
    t.equal(await one.removeClient('alice'), false)
    t.equal(await one.removeClient('nobody'), false)
    await one.putClient('alice', '7')
    t.match(await other.listClients(), [{ id: 'alice', registration: '7', disabled: false }, { id: 'bob' }])
    t.same(
      heard.map(
        change => change.kind === 'client' && [change.client.id, change.client.registration, change.client.disabled],
      ),
      [
        ['bob', '1', false],
        ['alice', '2', true],
        ['bob', '3', false],
        ['bob', '3', true],
        ['alice', '6', true],
        ['bob', '3', false],
        ['alice', undefined, false],
        ['alice', '7', false],
      ],
    )
    stop()
  })

  promise('preserves all of several parallel changes of a client', async t => {
    const [one, other] = await open(t.context)
    for (let round = 0; round < 20; round++) {
      const changes = [() => one.putClient(`c${round}`, 'new'), () => other.disableClient(`c${round}`, 'old')]
      await Promise.all((round % 2 ? changes : changes.toReversed()).map(change => change()))
    }
    const clients = await one.listClients()
    t.same([...new Set(clients.map(({ registration, disabled }) => `${registration} ${disabled}`))], ['new true'])
    t.equal(clients.length, 20)
  })

  promise('applies a new registration and its revocation completely or not at all', async t => {
    const [one, other] = await open(t.context)
    await one.putClient('alice', '1')
    await one.createGrant(grant('g1'), 'r1')
    await one.createGrant(grant('g2', { clientId: 'bob' }), 'r2')
    const { heard, stop } = await listen(one)
    await one.putClient('alice', '2')
    t.match(await other.findRefreshToken('r1'), { state: 'unused' }, 'control')
    const revocation = { kind: 'client', value: 'alice', notBefore: 1500, expires: forever } as const
    await one.putClient('alice', '3', revocation)
    t.match(await other.rotateRefreshToken('r1', successor('x'), start), { outcome: 'revoked' })
    t.match(await other.rotateRefreshToken('r2', successor('x'), start), { outcome: 'rotated' })
    t.match(heard.slice(1), [{ client: { registration: '2' } }, { revocation }, { client: { registration: '3' } }])
    await t.rejects(one.putClient(null as unknown as string, '4', { ...revocation, value: 'bob' }), unavailable)
    t.match(await other.findRefreshToken('x'), { state: 'unused' })
    t.match(await other.listClients(), [{ registration: '3' }])
    t.equal(heard.length, 4)
    stop()
  })

  promise('stores two secrets per client at most; a new client inherits none', async t => {
    const [one, other] = await open(t.context)
    await one.putSecret('alice', 's1', 'scrypt 1')
    await one.putSecret('alice', 's2', 'scrypt 2')
    await t.rejects(other.putSecret('alice', 's3', 'scrypt 3'), { name: 'ConflictError', message: /two secrets/ })
    await other.putSecret('alice', 's1', 'scrypt 1b')
    const byId = async () => Object.fromEntries((await other.listSecrets('alice')).map(({ id, hash }) => [id, hash]))
    t.same(await byId(), { s1: 'scrypt 1b', s2: 'scrypt 2' })
    t.equal(await one.removeSecret('alice', 's2'), true)
    t.equal(await one.removeSecret('alice', 's2'), false)
    await one.putSecret('alice', 's3', 'scrypt 3')
    t.same(await byId(), { s1: 'scrypt 1b', s3: 'scrypt 3' })
    t.same(await one.listClients(), [], 'a secret is not a registration')
    await one.putClient('alice', '{}')
    t.match(await one.listClients(), [{ secrets: [{ id: 's1' }, { id: 's3' }] }])
    const many = Array.from({ length: 10 }, (_, index) => (index % 2 ? one : other).putSecret('bob', `s${index}`, 'x'))
    t.equal((await Promise.allSettled(many)).filter(({ status }) => status === 'fulfilled').length, 2)
    t.equal((await one.listSecrets('bob')).length, 2)
    await one.removeClient('alice')
    t.same(await one.listSecrets('alice'), [])
    t.same(await one.listSecrets('nobody'), [])
  })

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

  return tests
}

/** Waits until a condition holds. Rejects after ten seconds. */
async function until(isTrue: () => boolean): Promise<void> {
  const begin = performance.now()
  while (!isTrue()) {
    if (performance.now() - begin > 10_000) throw new Error('the store has not notified its listener within 10 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
