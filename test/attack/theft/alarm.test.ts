// A valid token on the wrong connection or certificate reveals a theft. The server responds with the policy of its client,
// and nothing beyond it, so that a thief cannot lock the owner out.
import t, { type Test } from 'tap'
import { issueCertificate, startTestServer, type TestConnection, type TestServer } from '../../../src/testing/server.ts'
import { claimsOf, refresh, register, startGrant } from '../../helpers/tokens/grants.ts'
import { until } from '../../helpers/until.ts'

async function start(
  t: Test,
  theft_response?: string,
  more: object = {},
): Promise<{ server: TestServer; alice: TestConnection }> {
  const changes = { ...more, ...(theft_response !== undefined && { theft_response }) }
  const server = await startTestServer({ clients: [register('alice', changes), register('bob')], closeAfter: 0 })
  t.teardown(() => server.close())
  return { server, alice: await server.connect('alice') }
}
const portable = { token_binding: 'certificate' }
const alarmsOf = ({ alarms }: TestServer) => alarms.filter(({ event }) => event === 'theft.suspected')

t.test('raises an alarm with token, owner and thief for a token with another certificate or none', async t => {
  const { server, alice } = await start(t)
  const { access } = await startGrant(alice, portable)
  const { jti, grant, cnf } = claimsOf(access)
  t.match(await alice.get('/api/whoami', access), { status: 200 }, 'control')
  t.same(server.alarms, [], 'control: no alarm on its own connection')

  const thieves = [
    ['bob', server.pki.bob, 'certificate_mismatch'],
    ['a stranger', server.pki.stranger, 'certificate_untrusted'],
    ['nobody', null, 'no_certificate'],
  ] as const
  for (const [name, identity, reason] of thieves) {
    const tokens = await startGrant(alice, portable)
    const thief = await server.connect(identity)
    t.match(await thief.get('/api/whoami', tokens.access), { status: 401, body: { reason } }, name)
    const { jti, grant } = claimsOf(tokens.access)
    const expected = { signal: 'token.refused', suspicion: 'certain', response: 'alert', reason }
    const about = { client_id: 'alice', jti, grant, bound_to: cnf['x5t#S256'], peer: '127.0.0.1', peer_port: Number }
    t.match(alarmsOf(server).at(-1), { ...expected, ...about }, name)
    thief.close()
  }
  t.equal(alarmsOf(server).length, thieves.length)
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', access)
  t.match(alarmsOf(server).at(-1), { jti, grant, 'x5t#S256': /^(?!undefined)[\w-]{43}$/ })
  t.not(alarmsOf(server).at(-1)['x5t#S256'], cnf['x5t#S256'], 'that of the thief')
  t.match(await alice.get('/api/whoami', access), { status: 200 }, 'the owner can continue')
})

t.test('raises no alarm for a token that is invalid or was not issued here, whoever presents it', async t => {
  const { server, alice } = await start(t)
  const { access } = await startGrant(alice, portable)
  const [nobody, bob] = [await server.connect(null), await server.connect('bob')]
  const forged = `${access.slice(0, access.lastIndexOf('.'))}.${'A'.repeat(86)}`
  for (const token of [forged, 'x', `${access}x`]) {
    await nobody.get('/api/whoami', token)
    await bob.get('/api/whoami', token)
  }
  server.clock += 301
  await nobody.get('/api/whoami', access)
  await bob.get('/api/whoami', access)
  t.same(server.alarms, [])
  server.clock -= 301
  await nobody.get('/api/whoami', access)
  t.equal(alarmsOf(server).length, 1, 'control')
})

t.test('names the cause to an owner whose authority is no longer trusted, without suspecting a theft', async t => {
  const server = await startTestServer({ clients: [register('alice'), register('bob')] })
  t.teardown(() => server.close())
  const alice = await server.connect('alice')
  const { access } = await startGrant(alice, portable)
  t.match(await alice.get('/api/whoami', access), { status: 200 }, 'control')
  const other = issueCertificate({ subject: [['CN', 'another CA']], ca: true })
  const { server: own } = server.pki
  server.tls.reload({ cert: own.certificate, key: own.key, ca: other.certificate })
  const { jti, cnf } = claimsOf(access)
  const refused = { event: 'token.refused', reason: 'certificate_untrusted', jti, bound_to: cnf['x5t#S256'] }
  for (const [who, alarms] of [
    ['alice', 0],
    ['alice', 0],
    ['bob', 1],
  ] as const) {
    const connection = await server.connect(who)
    t.match(await connection.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_untrusted' } })
    t.match(server.events.at(-1), refused)
    t.equal(alarmsOf(server).length, alarms)
  }
})

t.test(
  'raises an alarm from the third time on for a connection-bound token on other connections of its certificate',
  async t => {
    const { server, alice } = await start(t)
    const token = await alice.token()
    for (const alarms of [0, 0, 1]) {
      const again = await server.connect('alice')
      t.match(await again.get('/api/whoami', token), { status: 401, body: { reason: 'connection_mismatch' } })
      t.equal(alarmsOf(server).length, alarms)
      again.close()
    }
    t.match(alarmsOf(server), [{ suspicion: 'possible', response: 'alert', count: 3, reason: 'connection_mismatch' }])
    t.match(await alice.get('/api/whoami', token), { status: 200 }, 'the owner can continue')
  },
)

t.test('skips the token check for unauthorized clients during a flood, and resumes a second later', async t => {
  const { server, alice } = await start(t)
  const { access } = await startGrant(alice, portable)
  const nobody = await server.connect(null)
  const forged = `${access.slice(0, access.lastIndexOf('.'))}.${'A'.repeat(86)}`
  for (let count = 0; count < 100; count++) await nobody.get('/api/whoami', forged)
  t.match(await nobody.get('/api/whoami', access), { status: 401, body: { reason: 'no_certificate' } })
  t.same(server.alarms, [])
  server.clock++
  t.match(await nobody.get('/api/whoami', access), { status: 401, body: { reason: 'no_certificate' } })
  t.equal(alarmsOf(server).length, 1)
})

t.test('raises an alarm for a refresh token used by another client, and still accepts it from its owner', async t => {
  const { server, alice } = await start(t)
  const { refresh: token, access } = await startGrant(alice)
  const bob = await server.connect('bob')
  t.match(await refresh(bob, token, { client_id: 'bob' }), { status: 400, body: { reason: 'refresh_unknown' } })
  const { grant, cnf } = claimsOf(access)
  t.match(alarmsOf(server), [{ client_id: 'alice', by: 'bob', grant, bound_to: cnf['x5t#S256'], response: 'alert' }])
  t.match(await refresh(alice, token), { status: 200 })
})

t.test('only refuses, under the policy record', async t => {
  const { server, alice } = await start(t, 'record')
  const { access } = await startGrant(alice, portable)
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', access)
  t.same(server.alarms, [])
  t.match(server.events.at(-1), { event: 'token.refused', reason: 'certificate_mismatch' })
})

t.test('ends only that token, under the policy revoke_token', async t => {
  const { server, alice } = await start(t, 'revoke_token')
  const [stolen, other] = [await startGrant(alice, portable), await startGrant(alice, portable)]
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', stolen.access)
  await until(() => server.events.some(({ event }) => event === 'token.revoked'))
  const { jti } = claimsOf(stolen.access)
  t.match(server.events.at(-1), {
    event: 'token.revoked',
    kind: 'token',
    value: jti,
    cause: 'theft',
    client_id: 'alice',
  })
  t.match(await alice.get('/api/whoami', stolen.access), { status: 401, body: { reason: 'revoked' } })
  t.match(await alice.get('/api/whoami', other.access), { status: 200 }, 'on the connection that stays open')
  t.match(await refresh(alice, stolen.refresh), { status: 200 })
})

t.test(
  "ends the grant with all its tokens, and keeps the owner's connection, under the policy revoke_grant",
  async t => {
    const { server, alice } = await start(t, 'revoke_grant')
    const stolen = await startGrant(alice, portable)
    const bob = await server.connect('bob')
    await bob.get('/api/whoami', stolen.access)
    await until(() => server.events.some(({ event }) => event === 'token.revoked'))
    t.match(await alice.get('/api/whoami', stolen.access), { status: 401, body: { reason: 'revoked' } })
    t.match(await refresh(alice, stolen.refresh), { status: 400, body: { reason: 'refresh_revoked' } })
    t.match(await alice.requestToken(), { status: 200 }, 'it gets the next token')
  },
)

t.test("ends the owner's connections too, and keeps those of others, under the policy close", async t => {
  const { server, alice } = await start(t, 'close')
  const { access } = await startGrant(alice, portable)
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', access)
  await until(() => !alice.isOpen())
  t.match(server.alarms, [
    { event: 'theft.suspected', response: 'close' },
    { event: 'connection.closed', reason: 'revoked', 'x5t#S256': claimsOf(access).cnf['x5t#S256'] },
  ])
  t.equal(bob.isOpen(), true)
  const again = await server.connect('alice')
  t.match(await again.requestToken(), { status: 200 }, 'the owner reconnects')
})

t.test('does not lock the owner out when a thief presents many stolen tokens', async t => {
  const { server, alice } = await start(t, 'close')
  const bob = await server.connect('bob')
  const stolen = []
  for (let count = 0; count < 8; count++) stolen.push((await startGrant(alice, portable)).access)
  for (let round = 0; round < 20; round++) for (const token of stolen) await bob.get('/api/whoami', token)
  await until(() => !alice.isOpen())
  const responses = alarmsOf(server).map(({ response }) => response)
  t.same(responses, [...Array(3).fill('close'), ...Array(5).fill('alert')], 'each token is one alarm')
  t.equal(alarmsOf(server).filter(({ damped }) => damped === true).length, 5)
  const again = await server.connect('alice')
  t.match(await again.get('/api/whoami', stolen[7]), { status: 200 })
  t.match(await again.requestToken(), { status: 200 })
})

for (const [what, steal] of [
  ['an access token presented with another certificate', 'access'],
  ['an access token presented without a certificate', 'nobody'],
  ['a refresh token presented by another client', 'refresh'],
] as const)
  t.test(`revokes nothing more for a dead token, however often it is presented: ${what}`, async t => {
    const { server, alice } = await start(t, 'close')
    const stolen = await startGrant(alice, portable)
    const thief = await server.connect(steal === 'nobody' ? null : 'bob')
    const replay = () =>
      steal === 'refresh'
        ? refresh(thief, stolen.refresh, { client_id: 'bob' })
        : thief.get('/api/whoami', stolen.access)
    await replay()
    await until(() => !alice.isOpen() && server.events.some(({ event }) => event === 'token.revoked'))
    t.match(alarmsOf(server), [{ response: 'close' }], 'control: revoked once')

    const again = await server.connect('alice')
    const other = await startGrant(again, portable)
    for (let minute = 1; minute < 4; minute++) {
      server.clock += 61
      t.match(await replay(), { status: steal === 'refresh' ? 400 : 401 })
    }
    t.equal(alarmsOf(server).length, 1)
    t.equal(again.isOpen(), true)
    await thief.get('/api/whoami', other.access)
    t.match(
      alarmsOf(server).at(-1),
      { response: 'close', jti: claimsOf(other.access).jti },
      'control: another token is revoked',
    )
  })

t.test('revokes nothing for a refresh token that its own client may have sent, and says so in the alarm', async t => {
  const { server, alice } = await start(t, 'close', { refresh_token_binding: 'certificate' })
  const renewed = issueCertificate({
    subject: [['CN', 'alice']],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
  })
  const other = await server.connect(renewed)
  const reason = 'refresh_certificate_mismatch'
  for (let grant = 0; grant < 3; grant++) {
    const { refresh: token } = await startGrant(alice, portable)
    for (let count = 0; count < 3; count++) t.match(await refresh(other, token), { status: 400, body: { reason } })
  }
  t.match(alarmsOf(server), Array(3).fill({ suspicion: 'possible', response: 'alert', reason }))
  const stolen = await startGrant(alice, portable)
  const bob = await server.connect('bob')
  await bob.get('/api/whoami', stolen.access)
  t.match(alarmsOf(server).at(-1), { suspicion: 'certain', response: 'close' }, 'control: a certain theft does')
})
