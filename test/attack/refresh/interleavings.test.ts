// The rotation rule in all interleavings of two honest processes of one client, lost answers, crashes, and thieves with and without
// the key: no client is locked out while no thief has the key, and no thief gains anything without it. I6, OA09, RFC 9700 §4.14.
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { buildOpaqueToken, hashOpaqueToken } from '../../../src/core/opaque-token.ts'
import { openSuccessor, sealSuccessor } from '../../../src/core/sealed-successor.ts'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { grant } from '../../../src/testing/store-contract/grant.ts'
import { contentsOf, refresh, register, startGrant } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

/** What befalls one use: `unprocessed`: the server crashes before its commit. `lost`: it, or the client, crashes after that. */
const fates = ['answered', 'unprocessed', 'lost'] as const
type Fate = (typeof fates)[number]

const store = openSqlite(':memory:')
t.teardown(() => store.close())
let grants = 0
const now = 2_000_000
const fresh = () => buildOpaqueToken('rt', randomBytes(32))

/** Uses a token as the server does. Returns the next token; undefined if it is refused. */
async function use(token: string): Promise<string | undefined> {
  const next = fresh()
  const found = await store.rotateRefreshToken(
    hashOpaqueToken(token),
    { hash: hashOpaqueToken(next), sealed: sealSuccessor(next, token) },
    now,
  )
  if (found.outcome === 'rotated') return next
  if (found.outcome === 'retried') return openSuccessor(found.sealed, token)
  if (found.outcome === 'reused') return undefined
  throw new Error(found.outcome)
}

async function startLine(): Promise<string> {
  const token = fresh()
  await store.createGrant(grant(`g${++grants}`), hashOpaqueToken(token))
  return token
}

/** The tokens of a client, which its processes share as in a file. */
interface Shelf {
  token: string
}

/** The steps of a process that refreshes once per fate: it reads the token, the server processes the use, the answer arrives. */
function stepsOf(shelf: Shelf, plan: readonly Fate[]): (() => unknown)[] {
  return plan.flatMap(fate => {
    let sent = ''
    let answer: string | undefined
    const read = () => {
      sent = shelf.token
    }
    const process = async () => {
      answer = await use(sent)
    }
    const receive = () => {
      // A process stores what it gets only in place of what it sent, and otherwise goes on with what the other one stored.
      if (answer !== undefined && shelf.token === sent) shelf.token = answer
    }
    if (fate === 'unprocessed') return [read]
    return fate === 'lost' ? [read, process] : [read, process, receive]
  })
}

/** Yields every order of the steps of two processes, as which of them is next. */
function* interleave(one: number, other: number): Generator<readonly (0 | 1)[]> {
  if (one === 0 && other === 0) yield []
  if (one > 0) for (const rest of interleave(one - 1, other)) yield [0, ...rest]
  if (other > 0) for (const rest of interleave(one, other - 1)) yield [1, ...rest]
}

async function play(order: readonly (0 | 1)[], processes: readonly [(() => unknown)[], (() => unknown)[]]) {
  const steps = processes.map(each => each[Symbol.iterator]())
  for (const which of order) await steps[which]?.next().value?.()
}

t.test('locks out no client, in any order of two processes, with any answer lost or any use cut short', async t => {
  const plans: (readonly [readonly Fate[], readonly Fate[]])[] = []
  for (const first of fates)
    for (const second of fates)
      plans.push([
        [first, second],
        ['answered', 'answered'],
      ])
  plans.push([['lost'], ['lost', 'lost']], [['lost', 'unprocessed'], ['lost']], [['answered'], ['lost', 'answered']])
  let runs = 0
  const broken: string[] = []
  for (const plan of plans) {
    const [one, other] = plan.map(fates => stepsOf({ token: '' }, fates).length) as [number, number]
    for (const order of interleave(one, other)) {
      runs++
      const shelf = { token: await startLine() }
      await play(order, [stepsOf(shelf, plan[0]), stepsOf(shelf, plan[1])])
      const next = await use(shelf.token)
      const after = next && (await use(next))
      if (after === undefined) broken.push(`${JSON.stringify(plan)} ${order.join('')}`)
    }
  }
  t.same(broken.slice(0, 5), [], `${broken.length} of ${runs} interleavings`)
  t.ok(runs > 2700, `${runs} interleavings`)
})

t.test('has one line of tokens in any order of a client and a thief with its key', async t => {
  let runs = 0
  let together = 0
  const broken: string[] = []
  for (const order of interleave(6, 6)) {
    runs++
    const first = await startLine()
    const [owner, thief] = [{ token: first }, { token: first }]
    const plan = ['answered', 'answered'] as const
    await play(order, [stepsOf(owner, plan), stepsOf(thief, plan)])
    if (owner.token === thief.token) together++
    // Then the one that is ahead goes on, and the other one comes back: that is a reuse, which the server notices.
    const next = await use(owner.token)
    const [ahead, behind] = next === undefined ? [thief, owner] : [owner, thief]
    const following = await use(ahead.token)
    const last = following && (await use(following))
    if (last === undefined || (await use(behind.token)) !== undefined) broken.push(order.join(''))
  }
  t.same(broken.slice(0, 5), [], `${broken.length} of ${runs} interleavings`)
  t.ok(together > 0 && together < runs, `in ${together} they end with the same token`)
})

t.test('gives a thief without the key nothing, at two servers, whatever the client does meanwhile', async t => {
  const shared = openSqlite(':memory:')
  const first = await startTestServer({ clients: [register('alice'), register('bob')], store: shared })
  const { pki } = first
  const second = await startTestServer({ clients: [register('alice'), register('bob')], store: shared, pki })
  t.teardown(() => second.close())
  t.teardown(() => first.close())
  const renewed = issueCertificate({ subject: [['CN', 'alice']], issuer: pki.ca, extendedKeyUsage: ['clientAuth'] })
  const servers = [first, second]
  const owners = await Promise.all(
    servers.flatMap(server => ['alice' as const, renewed].map(who => server.connect(who, { clientId: 'alice' }))),
  )
  const thieves = await Promise.all(
    servers.flatMap(server => [
      server.connect('bob'),
      server.connect('bob', { clientId: 'alice' }),
      server.connect('mallory', { clientId: 'alice' }),
      server.connect(null, { clientId: 'alice' }),
    ]),
  )
  const step = fc.record({
    by: fc.integer({ min: 0, max: owners.length - 1 }),
    thief: fc.integer({ min: 0, max: thieves.length - 1 }),
    /** Which of the tokens so far the thief presents, from the latest one. */
    stolen: fc.integer({ min: 0, max: 3 }),
    isLost: fc.boolean(),
    isAtOnce: fc.boolean(),
  })
  const lines = fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async steps => {
    const tokens = [(await startGrant(owners[0] as TestConnection)).refresh]
    for (const { by, thief, stolen, isLost, isAtOnce } of steps) {
      const current = tokens.at(-1) as string
      const loot = tokens[Math.max(0, tokens.length - 1 - stolen)] as string
      const steal = () => refresh(thieves[thief] as TestConnection, loot)
      const owner = owners[by] as TestConnection
      const before = isAtOnce ? undefined : await contentsOf(shared, tokens)
      const [theft, answer] = isAtOnce
        ? await Promise.all([steal(), refresh(owner, current)])
        : [await steal(), undefined]
      if (theft.status !== 400 && theft.status !== 401) return false
      if (theft.text.includes('tlsbound_')) return false
      if (before !== undefined) t.same(await contentsOf(shared, tokens), before, 'a theft changes nothing')
      const { status, body } = answer ?? (await refresh(owner, current))
      if (status !== 200) return false
      if (!isLost) tokens.push(body.refresh_token)
    }
    return (await refresh(owners[0] as TestConnection, tokens.at(-1) as string)).status === 200
  })
  await fc.assert(lines, { numRuns: 40 })
  const alarms = () => servers.flatMap(server => server.alarms).filter(({ event }) => event === 'theft.suspected')
  await until(() => alarms().length > 10)
  // A certificate that is presented with the client_id of the owner may be a renewal under another name.
  const expected = { other_certificate: 'certain', no_certificate: 'certain', perhaps_renewed_certificate: 'possible' }
  for (const { came_with, suspicion } of alarms())
    t.equal(suspicion, expected[came_with as keyof typeof expected], String(came_with))
  t.notOk(
    servers.some(({ events }) => events.some(({ event }) => event === 'refresh.reused')),
    'no client is suspected',
  )
})
