// POST /oauth/introspect: all claims for the resource server of a token, and {"active":false} for any other request. OA05,
// OA17, N-26, N-49.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { identityOf } from '../../helpers/server/ops.ts'
import { claimsFor, confirmationOf, forgeToken, headerOf, issuer } from '../../helpers/tokens/forge-token.ts'
import {
  contentsOf,
  introspect,
  putClient,
  refresh,
  register,
  revoke,
  startGrant,
} from '../../helpers/tokens/grants.ts'

const elsewhere = 'https://other.example'
const jwk = await generateTokenKey('ES256')
const clients = [
  register('alice'),
  register('bob', { access_token_format: 'opaque' }),
  register('carl', { theft_response: 'revoke_grant' }),
  register('olga', { theft_response: 'revoke_grant', access_token_format: 'opaque' }),
  register('api', { resource: issuer }),
  register('other', { resource: elsewhere }),
]
const server = await startTestServer({ clients, signingKeys: [jwk] })
t.teardown(() => server.close())
const as = (name: string) => {
  const { ca } = server.pki
  const certificate = issueCertificate({ subject: [['CN', name]], issuer: ca, extendedKeyUsage: ['clientAuth'] })
  return server.connect(certificate, { clientId: name })
}
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const [api, other] = [await as('api'), await as('other')]
/** Exact: no other member, and no other spelling. */
const inactive = { status: 200, text: '{"active":false}' }

t.test('returns claims and confirmation of a token to its resource server (N-26, N-49)', async t => {
  for (const [who, connection] of [
    ['alice', alice],
    ['bob', bob],
  ] as const)
    for (const token_binding of ['connection', 'certificate']) {
      const { access } = await startGrant(connection, { token_binding, scope: 'notes:read' })
      const { 'x5t#S256': certificate, ...bindings } = confirmationOf(connection)
      const cnf = { 'x5t#S256': certificate, ...(token_binding === 'connection' && bindings) }
      const answer = await introspect(api, access)
      t.match(answer, { status: 200, headers: { 'cache-control': 'no-store', 'content-type': /^application\/json/ } })
      const { jti, grant, ...claims } = answer.body
      t.same(claims, {
        ...{
          active: true,
          token_type: 'Bearer',
          iss: issuer,
          aud: issuer,
          sub: who,
          client_id: who,
          scope: 'notes:read',
        },
        ...{ iat: server.clock, exp: server.clock + 300, cnf },
      })
      t.match({ jti, grant }, { jti: /^[0-9a-f-]{36}$/, grant: /^[0-9a-f-]{36}$/ })
      t.match(server.events.at(-1), { event: 'token.introspected', client_id: 'api', active: true, jti })
    }
})

t.test('returns nothing to any other client (OA17, N-49)', async t => {
  const theirs = await startGrant(alice, { resource: elsewhere })
  for (const connection of [alice, bob]) {
    const { access } = await startGrant(connection)
    t.match(await introspect(api, access), { body: { active: true } }, 'control')
    t.match(await introspect(other, access, 'other'), inactive)
    t.match(await introspect(alice, access, 'alice'), inactive, 'not even its owner')
    t.match(await introspect(bob, access, 'bob'), inactive)
    const told = server.events.filter(({ event }) => event === 'token.introspected').at(-1)
    t.match(told, { client_id: 'bob', active: false })
    t.notOk('jti' in told)
  }
  t.match(await introspect(other, theirs.access, 'other'), { body: { active: true, aud: elsewhere } }, 'control')
  t.match(await introspect(api, theirs.access), inactive)
})

t.test('returns nothing without client authentication (OA17, N-49, ASVS 10.4.10)', async t => {
  const { access } = await startGrant(alice)
  for (const [who, id, reason] of [
    [null, 'api', 'no_certificate'],
    ['stranger', 'api', 'certificate_untrusted'],
    ['mallory', 'api', 'client_mismatch'],
    ['mallory', 'mallory', 'unknown_client'],
    ['alice', 'api', 'client_mismatch'],
  ] as const)
    t.match(await introspect(await server.connect(who), access, id), {
      status: 401,
      body: { error: 'invalid_client', reason },
    })
  await putClient(server.store, register('api', { resource: issuer }), true)
  t.match(await introspect(api, access), { status: 401, body: { reason: 'client_disabled' } })
  await putClient(server.store, register('api'))
  t.match(await introspect(api, access), inactive, 'no longer a resource server')
  await server.store.removeClient('api')
  t.match(await introspect(api, access), { body: { active: true } }, 'control: the registration of the file again')
})

t.test('reports any invalid token as inactive, without a reason (OA17, N-49)', async t => {
  const claims = claimsFor(alice, server)
  const forge = (changes: object, header: object = headerOf(jwk)) =>
    forgeToken({ jwk, header, claims: { ...claims, ...changes } })
  t.match(await introspect(api, forge({})), { body: { active: true } }, 'control')
  const [signed, opaque] = [await startGrant(alice), await startGrant(bob)]
  const bad: Record<string, string> = {
    garbage: 'x',
    'three segments': 'e30.e30.e30',
    'a refresh token': signed.refresh,
    'another refresh token': opaque.refresh,
    'an opaque token that was never issued': buildOpaqueToken('at', randomBytes(32)),
    'an opaque token with a wrong checksum': `${opaque.access.slice(0, -6)}000000`,
    'a foreign key': forgeToken({ jwk: await generateTokenKey('ES256'), claims }),
    'a changed signature': `${signed.access.slice(0, -10)}AAAAAAAAAA`,
    'no signature': `${signed.access.slice(0, signed.access.lastIndexOf('.') + 1)}`,
    'another type': forge({}, { ...headerOf(jwk), typ: 'JWT' }),
    'another issuer': forge({ iss: elsewhere }),
    'another audience': forge({ aud: elsewhere }),
    'no audience': forge({ aud: undefined }),
    expired: forge({ iat: server.clock - 60, exp: server.clock }),
    'not yet valid': forge({ nbf: server.clock + 60 }),
    'issued in the future': forge({ iat: server.clock + 60 }),
    'too long-lived': forge({ exp: server.clock + 90_000 }),
    'a claim of another type': forge({ scope: ['notes:read'] }),
    'a long one': 'x'.repeat(10_000),
    'hostile text': '\r\n{"active":true}\u0001\u2028',
  }
  const events = server.events.length
  for (const [name, token] of Object.entries(bad)) t.match(await introspect(api, token), inactive, name)
  const told = server.events.slice(events)
  t.equal(told.length, Object.keys(bad).length, 'each is an event')
  t.ok(told.every(({ event, active }) => event === 'token.introspected' && active === false))

  for (const { access } of [signed, opaque]) {
    t.match(await introspect(api, access), { body: { active: true } })
    server.clock += 300
    t.match(await introspect(api, access), inactive, 'its lifetime is over')
    server.clock -= 300
  }
})

t.test(
  'reports a revoked token as inactive: by itself, grant, theft, client, certificate, or everything (OA17, N-49)',
  async t => {
    for (const who of ['carl', 'olga']) {
      const connection = await server.connect(identityOf(server, who), { clientId: who })
      const thumbprint = confirmationOf(connection)['x5t#S256'] as string
      const whole = (kind: 'client' | 'certificate' | 'all', value: string) => async () => {
        server.clock += 1
        await server.store.revoke({ kind, value, notBefore: server.clock, expires: server.clock + 90_000 })
      }
      let given = await startGrant(connection)
      for (const end of [
        () => revoke(connection, given.access, who),
        () => revoke(connection, given.refresh, who),
        async () => {
          await refresh(connection, given.refresh)
          server.clock += 61
          await refresh(connection, given.refresh)
        },
        whole('client', who),
        whole('certificate', thumbprint),
        whole('all', ''),
      ]) {
        given = await startGrant(connection)
        t.match(await introspect(api, given.access), { body: { active: true } }, 'control')
        await end()
        t.match(await introspect(api, given.access), inactive, end.toString().slice(0, 60))
      }
    }
  },
)

t.test('changes nothing in an introspection, and writes no token to any output', async t => {
  const { access } = await startGrant(bob)
  const before = await contentsOf(server.store, [access])
  for (let again = 0; again < 10; again++) await introspect(api, access)
  t.same(await contentsOf(server.store, [access]), before)
  t.notOk(/tlsbound_(rt|at)_/.test(JSON.stringify(server.events) + server.log.join('')))
})
