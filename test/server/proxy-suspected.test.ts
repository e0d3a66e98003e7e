// A proxy that ends TLS in front of the server by mistake: the tokens of many clients seem to come from one other certificate.
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { issueProxy } from '../helpers/server/proxies.ts'
import { claimsOf, register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

const names = Array.from({ length: 8 }, (_, index) => `client${index}`)
const clients = names.map(name => register(name, { token_bindings: ['certificate'], theft_response: 'revoke_grant' }))
const start = () => startTestServer({ clients })
const of = (server: Awaited<ReturnType<typeof start>>, event: string) =>
  server.alarms.filter(alarm => alarm.event === event)

for (const [name, identity] of [
  ['a certificate of its own', 'mallory'],
  ['none', null],
] as const)
  t.test(`reports a proxy with ${name} once, instead of a theft for each token`, async t => {
    const server = await start()
    t.teardown(() => server.close())
    const tokens = await Promise.all(
      names.map(async clientId => (await server.connect(issueProxy(clientId, server.pki.ca), { clientId })).token()),
    )
    const proxy = await server.connect(identity)
    for (let round = 0; round < 3; round++)
      for (const token of tokens) t.equal((await proxy.get('/api/whoami', token)).status, 401)
    await until(() => of(server, 'proxy.suspected').length > 0)
    await new Promise(resolve => setTimeout(resolve, 100))
    const came_with = identity === null ? 'no_certificate' : 'other_certificate'
    t.match(of(server, 'proxy.suspected'), [
      { outcome: 'unknown', clients: 5, count: 5, came_with, peer: /127\.0\.0\.1/ },
    ])
    t.equal(of(server, 'proxy.suspected').length, 1)
    t.equal(of(server, 'theft.suspected').length, 4, 'those before the fifth client')
    t.equal(server.log.filter(line => line.includes('proxy that ends TLS')).length, 1)
    t.equal(server.events.filter(({ event }) => event === 'token.refused').length, 24, 'each refusal is an event')
    const last = tokens.at(-1) as string
    const owner = await server.connect(issueProxy('client7', server.pki.ca), { clientId: 'client7' })
    t.match(claimsOf(last), { client_id: 'client7' })
    t.match(await owner.get('/api/whoami', last), { status: 401 }, 'another certificate of that client')
  })

t.test('still revokes a stolen token if its thief imitates a proxy with clients of its own', async t => {
  const policies = ['revoke_token', 'close', 'alert', 'record'] as const
  const server = await startTestServer({
    clients: [
      ...names.map(name => register(name, { token_bindings: ['certificate'] })),
      ...policies.map(policy => register(policy, { token_bindings: ['certificate'], theft_response: policy })),
    ],
  })
  t.teardown(() => server.close())
  const connectAs = (clientId: string) => server.connect(issueProxy(clientId, server.pki.ca), { clientId })
  const thief = await server.connect('mallory')
  for (const name of names.slice(0, 5)) await thief.get('/api/whoami', await (await connectAs(name)).token())
  await until(() => of(server, 'proxy.suspected').length === 1)
  for (const policy of policies) {
    const owner = await connectAs(policy)
    const [stolen, other] = [await owner.token(), await owner.token()]
    t.match(await thief.get('/api/whoami', stolen), { status: 401 })
    const isRevoked = ['revoke_token', 'close'].includes(policy)
    if (isRevoked)
      await until(() => server.events.some(({ event, client_id }) => event === 'token.revoked' && client_id === policy))
    else await new Promise(resolve => setTimeout(resolve, 100))
    t.match(await owner.get('/api/whoami', stolen), { status: isRevoked ? 401 : 200 }, policy)
    t.match(
      await owner.get('/api/whoami', other),
      { status: 200 },
      `${policy}: its other token, on the same connection`,
    )
  }
  t.equal(of(server, 'theft.suspected').length, 4, 'those before the fifth client')
})

t.test('still reports the theft of one client’s tokens, however often', async t => {
  const server = await start()
  t.teardown(() => server.close())
  const owner = await server.connect(issueProxy('client0', server.pki.ca), { clientId: 'client0' })
  const thief = await server.connect('mallory')
  const stolen = await Promise.all(Array.from({ length: 8 }, () => owner.token()))
  for (const token of stolen) await thief.get('/api/whoami', token)
  await until(() => of(server, 'theft.suspected').length === 8)
  t.same(of(server, 'proxy.suspected'), [])
})
