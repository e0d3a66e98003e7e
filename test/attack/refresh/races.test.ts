// Concurrent uses of one refresh token, also during its revocation, over separate connections. I5, I6, OA09; RFC 9700 §4.14.
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { claimsOf, refresh, register, revoke, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const strict = { theft_response: 'revoke_grant' }
const clients = [register('alice', strict), register('bob', { access_token_format: 'opaque' })]
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

for (const wait of [0, 2])
  t.test(`gives fifty concurrent uses one successor, ${wait} s after a lost response (I6)`, async t => {
    const { access, refresh: token } = await startGrant(alice)
    const before = server.events.length
    const lost = wait === 0 ? undefined : tokensOf(await refresh(alice, token)).refresh
    server.clock += wait
    const answers = await useFifty(token)
    t.same([...new Set(answers.map(({ status }) => status))], [200])
    const tokens = answers.map(tokensOf)
    const [next = '', ...others] = new Set(tokens.map(({ refresh }) => refresh))
    t.same(others, [], 'one line of tokens')
    if (lost !== undefined) t.equal(next, lost)
    t.equal(new Set(tokens.map(({ access }) => access)).size, 50, 'each with an access token of its own')
    t.match(await alice.get('/api/whoami', access), { status: 200 })
    const events = server.events.slice(before).filter(({ event }) => event.startsWith('refresh.'))
    t.equal(events.filter(({ event, how }) => event === 'refresh.rotated' && how === 'rotated').length, 1)
    t.equal(events.length, lost === undefined ? 50 : 51, 'no use is a theft')

    const last = await useFifty(next)
    t.equal(new Set(last.map(answer => tokensOf(answer).refresh)).size, 1, 'control: the successor works alike')
    t.match(await refresh(alice, token), { status: 400, body: { reason: 'refresh_reused' } }, 'once it was used')
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
      t.ok(new Set(good.map(({ refresh }) => refresh)).size <= 1, 'one successor')
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
