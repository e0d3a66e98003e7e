// Concurrent uses of one refresh token, also during its revocation, over separate connections. I5, I6, OA09; RFC 9700 §4.14.
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { claimsOf, refresh, register, revoke, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const clients = [register('alice'), register('bob', { access_token_format: 'opaque' })]
const server = await startTestServer({ clients })
t.teardown(() => server.close())
const connectAll = (who: 'alice' | 'bob', count: number) =>
  Promise.all(Array.from({ length: count }, () => server.connect(who)))
const alices = await connectAll('alice', 10)
const [alice, ...others] = alices
if (alice === undefined) throw new Error('nobody is connected')
/** Fifty concurrent uses, five on each connection. */
const useFifty = (token: string) =>
  Promise.all(alices.flatMap(connection => Array.from({ length: 5 }, () => refresh(connection, token))))

t.test('lets exactly one of fifty concurrent uses succeed, and keeps the grant (I6)', async t => {
  const { access, refresh: token } = await startGrant(alice)
  const answers = await useFifty(token)
  const good = answers.filter(({ status }) => status === 200)
  t.equal(good.length, 1)
  for (const answer of answers.filter(({ status }) => status !== 200))
    t.match(answer, { status: 400, body: { error: 'invalid_grant', reason: 'refresh_reused' } })
  const [next] = good.map(tokensOf)
  t.match(await alice.get('/api/whoami', access), { status: 200 })
  t.notOk(
    server.events.some(({ event }) => event === 'refresh.reused'),
    'a race is not a theft',
  )
  t.equal(server.events.filter(({ event }) => event === 'token.refused').length, 49, 'I7')
  t.match(await refresh(alice, next?.refresh as string), { status: 200 })
})

t.test('lets exactly one of fifty concurrent retries succeed, with a valid token (I6)', async t => {
  const { refresh: token } = await startGrant(alice)
  const lost = tokensOf(await refresh(alice, token))
  server.clock += 2
  const good = (await useFifty(token)).filter(({ status }) => status === 200)
  t.equal(good.length, 1)
  const next = good.map(tokensOf)[0]?.refresh as string
  server.clock += 2
  const last = await refresh(alice, next)
  t.match(last, { status: 200 })
  t.match(await refresh(alice, lost.refresh), { status: 400, body: { reason: 'refresh_reused' } })
  t.match(await refresh(alice, tokensOf(last).refresh), { status: 400, body: { reason: 'refresh_revoked' } })
})

t.test('records fifty concurrent attempts of a theft as one theft', async t => {
  const { access, refresh: token } = await startGrant(alice)
  const next = tokensOf(await refresh(alice, token))
  await refresh(alice, next.refresh)
  server.clock += 2
  const before = server.events.length
  const reasons = (await useFifty(token)).map(({ status, body }) => `${status} ${body.reason}`)
  t.equal(reasons.filter(reason => reason === '400 refresh_reused').length, 1)
  t.equal(reasons.filter(reason => reason === '400 refresh_revoked').length, 49)
  const { grant } = claimsOf(access)
  t.match(
    server.events.slice(before).filter(({ event }) => event === 'refresh.reused'),
    [{ grant }],
  )
  t.equal(server.events.slice(before).filter(({ event }) => event === 'refresh.reused').length, 1)
  for (const stolen of [access, next.access])
    t.match(await alice.get('/api/whoami', stolen), { status: 401, body: { reason: 'revoked' } })
})

for (const who of ['alice', 'bob'] as const)
  t.test(`completes no refresh after its revocation was acknowledged: ${who} (I5)`, async t => {
    const [first, ...rest] = who === 'alice' ? [alice, ...others.slice(0, 4)] : await connectAll('bob', 5)
    if (first === undefined) throw new Error('nobody is connected')
    let raced = 0
    for (let round = 0; round < 12; round++) {
      const start = await startGrant(first, { token_binding: 'certificate' })
      const chain = tokensOf(await refresh(first, start.refresh))
      const before = server.events.length
      const uses = () => rest.map(connection => refresh(connection, chain.refresh, { token_binding: 'certificate' }))
      // Revoked is the token in use, or the one before it; before, between and after the uses.
      const revoked = round % 2 === 0 ? chain.refresh : start.refresh
      const early = round % 3 === 0 ? uses() : []
      if (round % 6 === 0)
        await Promise.any(
          early.map(async use => {
            if ((await use).status !== 200) throw new Error()
          }),
        )
      const late = revoke(first, revoked, who).then(async answer => {
        t.match(answer, { status: 200 })
        t.match(await refresh(first, chain.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
      })
      const answers = await Promise.all([...early, ...(round % 3 === 0 ? [] : uses())])
      await late
      const good = answers.filter(({ status }) => status === 200).map(tokensOf)
      raced += good.length
      t.ok(good.length <= 1)
      for (const token of good)
        t.match(await refresh(first, token.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
      for (const { access } of [start, chain, ...good])
        t.match(await first.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
      const events = server.events.slice(before).map(({ event }) => event)
      t.notOk(
        events.slice(events.indexOf('token.revoked')).includes('token.issued'),
        'no token is issued after the revocation was acknowledged',
      )
    }
    t.ok(raced > 0, 'control: some refreshes succeeded')
  })
