// Revocations in memory: the tokens that each kind rejects, when it expires, and that nothing remains of it. DS12, OA25, I5.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { clockTolerance } from '../../src/core/access-token.ts'
import {
  buildRevocation,
  type Revocable,
  type Revocation,
  type RevocationKind,
  Revocations,
  revocationKinds,
} from '../../src/core/revocations.ts'

const token: Revocable = { jti: 'j', grant: 'g', client_id: 'c', iat: 1000, cnf: { 'x5t#S256': 'x' } }
const { grant: _, ...grantless } = token
const values: Record<RevocationKind, string> = { token: 'j', grant: 'g', client: 'c', certificate: 'x', all: '' }
const revocation = (kind: RevocationKind, changes: Partial<Revocation> = {}): Revocation => ({
  kind,
  value: values[kind],
  notBefore: 1001,
  expires: 5000,
  ...changes,
})
const having = (...list: Revocation[]) => {
  const revocations = new Revocations()
  for (const one of list) revocations.add(one)
  return revocations
}

t.test('rejects the tokens that each kind names, and no others', async t => {
  t.notOk(new Revocations().includes(token))
  for (const kind of revocationKinds) {
    t.ok(having(revocation(kind)).includes(token), kind)
    t.equal(having(revocation(kind, { value: 'other' })).includes(token), kind === 'all', `another ${kind}`)
    for (const other of revocationKinds)
      if (other !== kind && other !== 'all')
        t.notOk(
          having(revocation(other, { value: values[kind] })).includes(token),
          `${other} with the value of a ${kind}`,
        )
  }
  t.notOk(having(revocation('grant')).includes(grantless), 'a token without a grant')
  t.notOk(having(revocation('grant', { value: 'undefined' })).includes(grantless))
  for (const value of ['__proto__', 'constructor', 'has'])
    t.notOk(having(revocation('token', { value })).includes(token))
})

t.test('revokes a client, a certificate and all up to a second, and a token and a grant entirely', async t => {
  for (const kind of revocationKinds) {
    const whole = kind === 'token' || kind === 'grant'
    for (const [notBefore, stopped] of [
      [1001, true],
      [1000, false],
      [0, false],
    ] as const)
      t.equal(having(revocation(kind, { notBefore })).includes(token), whole || stopped, `${kind} before ${notBefore}`)
  }
})

t.test('rejects tokens issued before a revocation by clocks that are ahead, and none issued after it', async t => {
  const now = 1000
  for (const kind of ['client', 'certificate', 'all'] as const) {
    const revocations = new Revocations()
    revocations.add(buildRevocation(kind, values[kind], now), 7)
    for (let iat = now - 1; iat <= now + clockTolerance; iat++)
      t.ok(revocations.includes({ ...token, iat }), `${kind}: issued ${iat - now} s ahead`)
    const after = revocations.findMark('c', 'x', now)
    t.equal(after, 7, kind)
    t.notOk(revocations.includes({ ...token, iat: now, issued_after: 7 }), 'issued after it within the same second')
    t.notOk(revocations.includes({ ...token, iat: now, issued_after: 8 }), 'issued after a later one')
    for (const issued_after of [6, -1, Number.NaN, '7', null, [7], true])
      t.ok(
        revocations.includes({ ...token, iat: now, issued_after: issued_after as number }),
        `${kind}: ${JSON.stringify(issued_after)}`,
      )
    t.ok(
      revocations.includes({ ...token, iat: now - 1, issued_after: 1e15 }),
      'the claim does not protect a token from later revocations',
    )
    t.equal(revocations.findMark('c', 'x', now + clockTolerance + 1), undefined, 'later tokens need no claim')
    t.equal(revocations.findMark('other', 'other', now), kind === 'all' ? 7 : undefined)

    revocations.add(buildRevocation(kind, values[kind], now), 9)
    t.ok(revocations.includes({ ...token, iat: now, issued_after: 7 }), 'a second revocation within the same second')
    revocations.add(buildRevocation('all', '', now - 5), 12)
    t.ok(revocations.includes({ ...token, iat: now, issued_after: 9 }), 'a revocation by a clock that is behind')
    t.equal(revocations.findMark('c', 'x', now), 12)
    t.notOk(revocations.includes({ ...token, iat: now, issued_after: 12 }))
  }
})

t.test('combines two revocations of one value into the later of both times, in either order', async t => {
  for (const kind of ['client', 'certificate', 'all'] as const) {
    const early = revocation(kind, { notBefore: 900, expires: 9000 })
    const late = revocation(kind, { notBefore: 1001, expires: 2000 })
    for (const order of [
      [early, late],
      [late, early],
    ]) {
      const revocations = having(...order)
      t.equal(revocations.size, 1)
      t.ok(revocations.includes(token))
      revocations.removeExpired(8900)
      t.ok(revocations.includes(token), 'until the later expiry')
      revocations.removeExpired(9060)
      t.equal(revocations.size, 0)
    }
  }
})

t.test('removes a revocation within a minute after its expiry, and never before', async t => {
  for (const kind of revocationKinds)
    for (const expires of [5000, 5039, 5040, 5041]) {
      const revocations = having(revocation(kind, { expires }))
      revocations.removeExpired(expires)
      revocations.removeExpired(expires - 1)
      revocations.removeExpired(0)
      const early = having(revocation(kind, { expires }))
      early.removeExpired(expires - 1)
      t.ok(early.includes(token), `${kind} ${expires}`)
      early.removeExpired(expires + 60)
      t.notOk(early.includes(token))
      t.equal(early.size, 0)
    }
})

t.test('rejects what a plain list of the same revocations rejects, in any order of changes', async () => {
  const small = fc.constantFrom('a', 'b')
  const entry = fc.record({
    kind: fc.constantFrom(...revocationKinds),
    value: small,
    notBefore: fc.integer({ min: 0, max: 300 }),
    expires: fc.integer({ min: 0, max: 300 }),
  })
  const asked = fc.record({
    jti: small,
    grant: small,
    client_id: small,
    iat: fc.integer({ min: 0, max: 300 }),
    thumbprint: small,
  })
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 12 }),
      asked,
      fc.integer({ min: 0, max: 240 }),
      (list, { thumbprint, ...ask }, now) => {
        const revocations = having(...list)
        revocations.removeExpired(now)
        const subject = { ...ask, cnf: { 'x5t#S256': thumbprint } }
        const of = { token: ask.jti, grant: ask.grant, client: ask.client_id, certificate: thumbprint, all: '' }
        // A value is revoked until the last revocation of it expires, by the strictest of them.
        const stops = revocationKinds.some(kind => {
          const about = list.filter(one => one.kind === kind && (kind === 'all' || one.value === of[kind]))
          const alive = about.some(({ expires }) => expires > now)
          return alive && (kind === 'token' || kind === 'grant' || about.some(({ notBefore }) => ask.iat < notBefore))
        })
        return !stops || revocations.includes(subject)
      },
    ),
    { numRuns: 500 },
  )
})

t.test('grows with the number of revoked values, not of revocations, and shrinks again (DS12)', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const revocations = new Revocations()
  const before = used()
  for (let again = 0; again < 300_000; again++) revocations.add(revocation('token', { expires: 100_000 }))
  t.equal(revocations.size, 1)
  t.ok(used() - before < 4_000_000, `${used() - before} octets for one token revoked 300 000 times`)

  for (let each = 0; each < 20_000; each++)
    revocations.add(revocation('grant', { value: `g${each}`, expires: 10_000 + each }))
  t.equal(revocations.size, 20_001)
  revocations.removeExpired(20_000)
  t.ok(revocations.size < 10_100, 'half of them are removed')
  revocations.removeExpired(200_000)
  t.equal(revocations.size, 0)
  t.ok(used() - before < 4_000_000, 'their memory is released')
})
