// A thief who tests whether a stolen token is valid: every endpoint that accepts tokens answers living, dead, unknown and
// malformed tokens alike, and a living one raises an alarm. An owner who renews its certificate, reconnects or loses its
// authority is no certain thief. I4, LK01, OA07, OA20; RFC 7009 §2.1, RFC 8693 §2.2.2.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { issueCertificate, startTestServer, type TestConnection, type TestServer } from '../../../src/testing/server.ts'
import { identityOf } from '../../helpers/server/ops.ts'
import {
  claimsOf,
  contentsOf,
  introspect,
  post,
  refresh,
  register,
  revoke,
  startGrant,
  type Tokens,
  tokensOf,
} from '../../helpers/tokens/grants.ts'
import { exchange, exchangeGrant } from '../../helpers/tokens/outside-issuer.ts'
import { until } from '../../helpers/until.ts'

const backend = 'https://backend.example'
const grant_types = ['client_credentials', 'refresh_token', exchangeGrant]
const clients = [
  register('alice', { grant_types }),
  register('olga', { grant_types, access_token_format: 'opaque' }),
  register('bob', { grant_types }),
  register('backend', { resource: backend }),
]
const portable = { token_binding: 'certificate' }
const alarmsOf = ({ alarms }: TestServer) => alarms.filter(({ event }) => event === 'theft.suspected')

async function start(t: Test, changes: object = {}): Promise<TestServer> {
  const [alice, ...others] = clients
  const server = await startTestServer({ clients: [{ ...alice, ...changes }, ...others], closeAfter: 0 })
  t.teardown(() => server.close())
  return server
}

/** What a response can reveal to a thief. */
function shown({ status, text, headers }: Awaited<ReturnType<TestConnection['get']>>): string {
  const { date: _, ...others } = headers
  return JSON.stringify([status, text, others])
}

const server = await start(t)
const alice = await server.connect('alice')
const olga = await server.connect(identityOf(server, 'olga'), { clientId: 'olga' })
const bob = await server.connect('bob')

/** Places at which bob, with his own certificate, can test a stolen token, and which reveal nothing. */
const places: Readonly<Record<string, (token: string) => ReturnType<TestConnection['get']>>> = {
  '/oauth/revoke': token => revoke(bob, token, 'bob'),
  '/oauth/introspect': token => introspect(bob, token, 'bob'),
  subject_token: token => exchange(bob, token),
}

/** Tokens other than the living one, by their fault. */
async function deadTokens(owner: TestConnection, name: string): Promise<Record<string, string>> {
  const revoked = await startGrant(owner, portable)
  await revoke(owner, revoked.refresh, name)
  const { access } = await startGrant(owner, portable)
  return {
    revoked: revoked.access,
    'revoked refresh token': revoked.refresh,
    'altered signature': `${access.slice(0, -10)}AAAAAAAAAA`,
    'never issued': buildOpaqueToken('at', randomBytes(32)),
    'never issued refresh token': buildOpaqueToken('rt', randomBytes(32)),
    garbage: 'x',
    'three segments': 'e30.e30.e30',
  }
}

for (const [name, owner] of [
  ['alice', alice],
  ['olga', olga],
] as const)
  for (const [place, bring] of Object.entries(places))
    t.test(
      `answers living and dead tokens of ${name} alike at ${place}, and raises an alarm for the living one`,
      async t => {
        const dead = await deadTokens(owner, name)
        const before = alarmsOf(server).length
        const expected = shown(await bring('y'))
        for (const [what, token] of Object.entries(dead)) t.equal(shown(await bring(token)), expected, what)
        t.equal(alarmsOf(server).length, before, 'control: no alarm for a dead token')

        const { access, refresh: refreshToken } = await startGrant(owner, portable)
        const [kinds, contents] = [
          place === 'subject_token' ? [access] : [access, refreshToken],
          await contentsOf(server.store),
        ]
        for (const [index, token] of kinds.entries()) {
          const since = server.events.length
          t.equal(shown(await bring(token)), expected, 'the living token')
          if (index === 1 && place === '/oauth/introspect') break // the same grant a second time within a minute
          await until(() => alarmsOf(server).length > before + index || index === 1)
          t.match(
            server.events.slice(since).filter(({ event }) => event === 'token.refused'),
            [{ client_id: name, by: 'bob', came_with: 'other_certificate', bound_to: String }],
            'the event names owner and thief',
          )
        }
        const [alarm, ...others] = alarmsOf(server).slice(before)
        const introspected = place === '/oauth/introspect'
        t.match(alarm, {
          client_id: name,
          by: 'bob',
          suspicion: introspected ? 'possible' : 'certain',
          response: 'alert',
        })
        t.same(others, [], 'one grant is one alarm')
        t.same(await contentsOf(server.store), contents, 'nothing is revoked')
        t.match(await owner.get('/api/whoami', access), { status: 200 }, "the owner's token stays valid")
        server.clock += 301
        t.equal(shown(await bring(access)), expected, 'and after it has expired')
        t.equal(alarmsOf(server).length, before + 1)
      },
    )

t.test(
  'raises no alarm for a refresh token of an ended grant, and its owner can still revoke its access tokens',
  async t => {
    const server = await start(t)
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')]
    const { refresh: token } = await startGrant(alice)
    server.clock += 86_401 // the lifetime of a grant; its access token may be valid a day longer
    const before = server.events.length
    t.match(await revoke(bob, token, 'bob'), { status: 200, text: '' })
    await new Promise(setImmediate)
    t.same([alarmsOf(server), server.events.slice(before)], [[], []], 'no alarm, and no event')
    t.match(await revoke(alice, token), { status: 200, text: '' })
    t.match(server.events.slice(before), [{ event: 'token.revoked', kind: 'grant' }], 'control: its owner revokes it')
  },
)

t.test('answers a living, dead and unknown refresh token of another client alike', async t => {
  const { refresh: token } = await startGrant(alice)
  const [dead, unknown] = [await startGrant(alice), buildOpaqueToken('rt', randomBytes(32))]
  await revoke(alice, dead.refresh)
  const before = alarmsOf(server).length
  const answers = []
  for (const one of [unknown, dead.refresh]) answers.push(shown(await refresh(bob, one, { client_id: 'bob' })))
  t.equal(alarmsOf(server).length, before, 'control')
  answers.push(shown(await refresh(bob, token, { client_id: 'bob' })))
  t.equal(new Set(answers).size, 1, answers.join())
  await until(() => alarmsOf(server).length === before + 1)
  t.match(alarmsOf(server).at(-1), { reason: 'refresh_unknown', detail: 'other_client', suspicion: 'certain' })
})

t.test('raises no alarm when a client revokes and introspects its own tokens', async t => {
  const before = alarmsOf(server).length
  for (const [name, owner] of [
    ['alice', alice],
    ['olga', olga],
  ] as const) {
    const { access, refresh: token } = await startGrant(owner, portable)
    t.match(await introspect(owner, access, name), { body: { active: false } })
    t.match(await exchange(owner, access), { status: 200 })
    const renewed = await server.connect(identityOf(server, name), { clientId: name })
    t.match(await revoke(renewed, access, name), { status: 200 }, 'with its next certificate')
    t.match(await owner.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
    t.match(await revoke(renewed, token, name), { status: 200 })
  }
  await new Promise(setImmediate)
  t.equal(alarmsOf(server).length, before)
})

t.test('introspects tokens for their resource server, which is not suspected when it was sent another one', async t => {
  const rs = await server.connect(identityOf(server, 'backend'), { clientId: 'backend' })
  const [mine, other] = [await startGrant(alice, { resource: backend }), await startGrant(alice)]
  const before = alarmsOf(server).length
  t.match(await introspect(rs, mine.access, 'backend'), { body: { active: true } })
  t.match(await introspect(rs, other.access, 'backend'), { body: { active: false } })
  await new Promise(setImmediate)
  t.equal(alarmsOf(server).length, before)
})

t.test('raises an alarm for a living token of another audience used by another client', async t => {
  const { access } = await startGrant(alice, { ...portable, resource: backend })
  const before = alarmsOf(server).length
  t.match(await alice.get('/api/whoami', access), { status: 401, body: { reason: 'wrong_audience' } })
  t.equal(alarmsOf(server).length, before, 'its owner only used the wrong server')
  t.match(await bob.get('/api/whoami', access), { status: 401, body: { reason: 'wrong_audience' } })
  await until(() => alarmsOf(server).length === before + 1)
  t.match(alarmsOf(server).at(-1), { reason: 'wrong_audience', suspicion: 'certain', client_id: 'alice' })
  const dead = await startGrant(alice, { ...portable, resource: backend })
  await revoke(alice, dead.refresh)
  await bob.get('/api/whoami', dead.access)
  await new Promise(setImmediate)
  t.equal(alarmsOf(server).length, before + 1, 'no alarm for a revoked one')
})

t.test('raises an alarm for a living token in a request whose client cannot be authenticated', async t => {
  const before = alarmsOf(server).length
  let expected = before
  const rows: [string, 'stranger' | 'mallory' | null, string, string, string][] = [
    ['without a certificate', null, 'alice', 'no_certificate', 'certain'],
    ['with an untrusted certificate', 'stranger', 'alice', 'certificate_untrusted', 'certain'],
    ['under an unregistered name', 'mallory', 'mallory', 'unknown_client', 'certain'],
    ['with a certificate of another name, as its owner', 'mallory', 'alice', 'client_mismatch', 'possible'],
    ['with a certificate of another name, as another client', 'mallory', 'bob', 'client_mismatch', 'certain'],
  ]
  for (const [what, who, client_id, reason, suspicion] of rows)
    for (const [parameter, kind, path] of [
      ['token', 'access', '/oauth/revoke'],
      ['token', 'refresh', '/oauth/introspect'],
      ['refresh_token', 'refresh', '/oauth/token'],
      ['subject_token', 'access', '/oauth/token'],
    ] as const) {
      const stolen = (await startGrant(alice, portable))[kind]
      const unknown = buildOpaqueToken('rt', randomBytes(32))
      // A refused certificate ends its connection.
      const bring = async (token: string) =>
        post(await server.connect(who), path, { client_id, [parameter]: token, grant_type: 'x' })
      const answer = await bring(unknown)
      t.match(answer, { status: 401, body: { error: 'invalid_client', reason } }, `control: ${what}`)
      t.equal(shown(await bring(stolen)), shown(answer), `${what}: ${parameter} at ${path}`)
      await until(() => alarmsOf(server).length === expected + 1)
      expected++
      const alarm = { signal: 'client.refused', client_id: 'alice', reason, suspicion, response: 'alert', path }
      t.match(alarmsOf(server).at(-1), alarm, `${what}: ${parameter} at ${path}`)
    }
})

t.test('raises an alarm for an opaque token without an accepted certificate too', async t => {
  for (const [who, reason] of [
    [null, 'no_certificate'],
    ['stranger', 'certificate_untrusted'],
  ] as const) {
    const { access } = await startGrant(olga, portable)
    const before = alarmsOf(server).length
    const noise = buildOpaqueToken('at', randomBytes(32))
    for (const token of [noise, access])
      t.match(await (await server.connect(who)).get('/api/whoami', token), { status: 401, body: { reason } })
    await until(() => alarmsOf(server).length === before + 1)
    t.match(alarmsOf(server).at(-1), { client_id: 'olga', reason, suspicion: 'certain' })
  }
})

t.test('raises an alarm for a thief whose own certificate has ended or was revoked', async t => {
  const ended = issueCertificate({
    subject: [['CN', 'bob']],
    issuer: server.pki.ca,
    extendedKeyUsage: ['clientAuth'],
    notBefore: new Date(Date.now() - 200_000_000),
    notAfter: new Date(Date.now() - 100_000_000),
  })
  const { access } = await startGrant(alice, portable)
  const before = alarmsOf(server).length
  const thief = await server.connect(ended)
  t.match(await thief.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_expired' } })
  await until(() => alarmsOf(server).length === before + 1)
  t.match(alarmsOf(server).at(-1), { reason: 'certificate_expired', suspicion: 'certain', client_id: 'alice' })
})

t.test('contains a theft in the same way at every endpoint that accepts tokens', async t => {
  for (const [place, bring] of [
    ['/oauth/revoke', (thief: TestConnection, { access }: Tokens) => revoke(thief, access, 'bob')],
    ['refresh_token at /oauth/revoke', (thief: TestConnection, tokens: Tokens) => revoke(thief, tokens.refresh, 'bob')],
    ['subject_token', (thief: TestConnection, { access }: Tokens) => exchange(thief, access)],
    ['refresh_token', (thief: TestConnection, tokens: Tokens) => refresh(thief, tokens.refresh)],
    ['a resource', (thief: TestConnection, { access }: Tokens) => thief.get('/api/whoami', access)],
  ] as const) {
    const own = await start(t, { theft_response: 'revoke_grant' })
    const [owner, thief] = [await own.connect('alice'), await own.connect('bob')]
    const tokens = await startGrant(owner, portable)
    await bring(thief, tokens)
    await until(() => own.events.some(({ event }) => event === 'token.revoked'))
    const { grant } = claimsOf(tokens.access)
    t.match(own.events.at(-1), { event: 'token.revoked', kind: 'grant', value: grant, cause: 'theft' }, place)
    t.match(await owner.get('/api/whoami', tokens.access), { status: 401, body: { reason: 'revoked' } }, place)
  }
})

t.test('revokes no token for an introspection or revocation, under any policy', async t => {
  const own = await start(t, { theft_response: 'close' })
  const [owner, asker] = [await own.connect('alice'), await own.connect('bob')]
  const { access } = await startGrant(owner, portable)
  await introspect(asker, access, 'bob')
  await until(() => alarmsOf(own).length === 1)
  t.match(alarmsOf(own), [{ suspicion: 'possible', response: 'alert', detail: 'not_a_resource' }])
  t.match(await owner.get('/api/whoami', access), { status: 200 })
})

t.test('does not call a client a certain thief when it renews its certificate and sends an old token', async t => {
  const own = await start(t, { theft_response: 'close' })
  const owner = await own.connect('alice')
  const renewed = await own.connect(identityOf(own, 'alice'), { clientId: 'alice' })
  const { access, refresh: token } = await startGrant(owner, portable)
  t.match(await renewed.get('/api/whoami', access), { status: 401, body: { reason: 'certificate_mismatch' } })
  t.match(own.events.at(-1), { came_with: 'renewed_certificate', client_id: 'alice' })
  t.match(await exchange(renewed, access), { status: 400, body: { reason: 'subject_token_invalid' } })
  t.match(own.events.at(-1), { detail: 'other_certificate', came_with: 'renewed_certificate' })
  await new Promise(setImmediate)
  t.same(own.alarms, [], 'twice in a minute from the client itself')
  await renewed.get('/api/whoami', access)
  await until(() => alarmsOf(own).length === 1)
  t.match(alarmsOf(own), [{ suspicion: 'possible', response: 'revoke_token' }])
  t.match(await refresh(owner, token), { status: 200 }, 'the grant stays valid')
  t.equal(owner.isOpen(), true)

  const bob = await own.connect('bob')
  const stolen = await startGrant(owner, portable)
  await bob.get('/api/whoami', stolen.access)
  await until(() => alarmsOf(own).length === 2)
  t.match(
    alarmsOf(own).at(-1),
    { suspicion: 'certain', response: 'close' },
    'control: another client is a certain thief',
  )
})

t.test(
  'does not suspect an owner who reconnects under a withdrawn authority, but suspects a stranger there',
  async t => {
    const own = await start(t)
    const owner = await own.connect('alice')
    const bound = await startGrant(owner)
    const loose = await startGrant(owner, portable)
    const another = issueCertificate({ subject: [['CN', 'another CA']], ca: true })
    const { server: identity } = own.pki
    own.tls.reload({ cert: identity.certificate, key: identity.key, ca: another.certificate })
    const refused = { status: 401, body: { reason: 'certificate_untrusted' } }
    for (const { access } of [bound, loose]) {
      t.match(await (await own.connect('alice')).get('/api/whoami', access), refused)
      t.match(own.events.at(-1), { came_with: 'own_certificate', jti: claimsOf(access).jti })
    }
    t.match(await refresh(await own.connect('alice'), loose.refresh), refused)
    t.match(own.events.at(-1), { event: 'client.refused', came_with: 'own_certificate' })
    await new Promise(setImmediate)
    t.same(alarmsOf(own), [])

    const renewed = issueCertificate({
      subject: [['CN', 'alice']],
      issuer: own.pki.ca,
      extendedKeyUsage: ['clientAuth'],
    })
    const early = await own.connect(renewed)
    t.match(await early.get('/api/whoami', loose.access), refused)
    await until(() => alarmsOf(own).length === 1)
    t.match(alarmsOf(own).at(-1), { suspicion: 'possible', came_with: 'perhaps_renewed_certificate' })
    const thief = await own.connect('bob')
    t.match(await thief.get('/api/whoami', bound.access), refused)
    await until(() => alarmsOf(own).length === 2)
    t.match(alarmsOf(own).at(-1), { suspicion: 'certain', came_with: 'other_certificate' })
  },
)

t.test('does not call a client a certain thief when it presents its own certificate before registration', async t => {
  const [first, next, other] = ['anna', 'anna', 'eve'].map(name => issueCertificate({ subject: [['CN', name]] }))
  const keys = [{ x5c: [first?.x509.raw.toString('base64')] }]
  const { tls_client_auth_subject_dn: _, ...nameless } = register('anna')
  const anna = { ...nameless, token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys } }
  const own = await startTestServer({ clients: [anna, register('bob')] })
  t.teardown(() => own.close())
  const owner = await own.connect(first as NonNullable<typeof first>, { clientId: 'anna' })
  for (const [identity, suspicion] of [
    [next, 'possible'],
    [other, 'possible'],
    [own.pki.bob, 'certain'],
    [null, 'certain'],
  ] as const) {
    const { access } = await startGrant(owner, portable)
    const before = alarmsOf(own).length
    const connection = await own.connect(identity ?? null)
    await connection.get('/api/whoami', access)
    await until(() => alarmsOf(own).length === before + 1)
    t.match(alarmsOf(own).at(-1), { suspicion, client_id: 'anna' })
  }
})

t.test(
  'ends the grant of a client that reuses its refresh token, by its policy, without calling it a certain thief',
  async t => {
    const own = await start(t, { theft_response: 'close' })
    const owner = await own.connect('alice')
    const lost = await startGrant(owner)
    await refresh(owner, lost.refresh) // its response does not arrive
    own.clock += 61
    const again = await own.connect('alice')
    t.match(await refresh(again, lost.refresh), { status: 400, body: { reason: 'refresh_reused' } })
    await until(() => alarmsOf(own).length === 1)
    const reused = { signal: 'refresh.reused', detail: 'answer_lost', suspicion: 'possible', response: 'revoke_grant' }
    t.match(alarmsOf(own), [reused])
    t.equal(owner.isOpen(), true)

    const stolen = await startGrant(owner)
    const { body } = await refresh(owner, stolen.refresh)
    own.clock += 2
    await refresh(owner, body.refresh_token)
    own.clock += 2
    await refresh(again, stolen.refresh)
    await until(() => alarmsOf(own).length > 1)
    t.match(alarmsOf(own).at(-1), { detail: 'reused', suspicion: 'possible', response: 'revoke_grant' })
    t.equal(owner.isOpen(), true, 'its connections stay open')
    const other = await startGrant(owner)
    await refresh(owner, tokensOf(await refresh(owner, other.refresh)).refresh)
    const thief = await own.connect('bob')
    await refresh(thief, other.refresh)
    await until(() => alarmsOf(own).length > 2)
    t.match(alarmsOf(own).at(-1), { suspicion: 'certain', client_id: 'alice', response: 'close' }, 'by another client')
  },
)

t.test('writes no token in the place of a client_id or a secret to any output', async t => {
  const { access, refresh: token } = await startGrant(alice, portable)
  const opaque = (await startGrant(olga, portable)).access
  for (const secret of [access, token, opaque])
    for (const path of ['/oauth/token', '/oauth/revoke', '/oauth/introspect']) {
      const basic = (id: string, password: string) => ({
        authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(password)}`).toString('base64')}`,
      })
      await post(bob, path, { client_id: secret, token: secret, grant_type: secret })
      await post(bob, path, { token: secret, grant_type: 'refresh_token', refresh_token: secret }, basic('bob', secret))
      await post(bob, path, { token: secret, grant_type: 'client_credentials' }, basic(secret, 'x'))
      await post(bob, path, { client_id: 'bob', token: secret, scope: secret, resource: secret, token_binding: secret })
    }
  await new Promise(setImmediate)
  const written = JSON.stringify([server.events, server.alarms, server.log])
  for (const secret of [access, token, opaque, ...access.split('.').slice(1)]) t.notOk(written.includes(secret))
  t.notOk(written.includes(encodeURIComponent(token)))
})
