// Times with a fraction (RFC 7519 §2, NumericDate) in every kind of token: accepted, and no token works beyond its end, is
// exchanged for a longer one, or escapes a revocation. Tokens of this server have whole seconds.
import Fastify from 'fastify'
import t from 'tap'
import { mutualTls, requireToken } from '../../../src/index.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { identityOf } from '../../helpers/server/ops.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { claimsFor, confirmationOf, forgeToken } from '../../helpers/tokens/forge-token.ts'
import { claimsOf, introspect, register, revoke } from '../../helpers/tokens/grants.ts'
import {
  exchange,
  exchangeClients,
  idp,
  makeIssuer,
  outsideAudience,
  refuseExchange,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const entry = { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json' }
const env = trust(t.testdir(), [entry], { 'keys.json': { keys: [issuer.publicJwk] } })
const jwk = await generateTokenKey('ES256')
const clients = [...exchangeClients, register('api', { resource: outsideAudience })]
const server = await startTestServer({ env, clients, signingKeys: [jwk] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const good = { status: 200 }
const forge = (claims: object, connection: TestConnection = alice) =>
  forgeToken({ jwk, claims: { ...claimsFor(connection, server), ...claims } })

t.test('accepts a token with fractional times from its beginning to its end, to the millisecond', async t => {
  const start = server.clock
  const token = forge({ iat: start - 0.75, nbf: start - 0.5, exp: start + 1.5 })
  t.match(await alice.get('/api/whoami', token), good)
  t.match(await alice.get('/api/whoami', token), good, 'also while it is remembered')
  server.clock = start + 1.25
  t.match(await alice.get('/api/whoami', token), good)
  server.clock = start + 1.5
  t.match(await alice.get('/api/whoami', token), refusal('expired'), 'remembered on its connection')
  t.match(
    await alice.get('/api/whoami', forge({ iat: start, exp: start + 1.5 })),
    refusal('expired'),
    'not remembered on another',
  )
  server.clock = start
})

t.test('rejects an invalid fraction in a token, a subject token and a proof', async t => {
  const start = server.clock
  const odd = ['1e400', '-0.5', `"${start + 60.5}"`, 'true', '9007199254740993.5', '[1.5]', '{}', 'null']
  const json = (claims: object, name: string, value: string) =>
    JSON.stringify({ ...claims, [name]: '?' }).replace('"?"', value)
  for (const name of ['iat', 'exp', 'nbf'])
    for (const value of odd) {
      const own = forgeToken({ jwk, claims: json(claimsFor(alice, server), name, value) })
      t.match(await alice.get('/api/whoami', own), refusal('claims_malformed'), `${name} ${value}`)
      await refuseExchange(t, { server, connection: alice }, `own ${name} ${value}`, own)
    }
  for (const name of ['iat', 'exp', 'nbf'])
    for (const value of ['soon', true, -0.5, 2 ** 53, [1.5], {}, null])
      await refuseExchange(
        t,
        { server, connection: alice },
        `outside ${name} ${value}`,
        await issuer.sign(start, { [name]: value }),
      )
})

t.test('revokes a token whose iat has a fraction', async t => {
  const token = forge({ iat: server.clock - 0.5, exp: server.clock + 100.25, jti: 'fraction' })
  t.match(await alice.get('/api/whoami', token), good, 'control')
  t.match(await revoke(alice, token), { status: 200 })
  t.match(await alice.get('/api/whoami', token), refusal('revoked'), 'by itself')
  const other = forge({ iat: server.clock - 0.5, jti: 'mark' })
  t.match(await alice.get('/api/whoami', other), good, 'control')
  const mark = { kind: 'client', value: 'alice', notBefore: server.clock, expires: server.clock + 1000 } as const
  await server.store.revoke(mark)
  t.match(await alice.get('/api/whoami', other), refusal('revoked'), 'issued half a second before the mark')
  t.match(
    await alice.get('/api/whoami', forge({ iat: server.clock + 0.5, jti: 'after' })),
    good,
    'and half a second after',
  )
})

t.test('returns the exact times in introspection, and whole seconds in an exchanged token', async t => {
  const token = forge({ iat: server.clock + 0.25, exp: server.clock + 100.75, jti: 'exchanged' })
  const api = await server.connect(identityOf(server, 'api'), { clientId: 'api' })
  t.match((await introspect(api, token)).body, { active: true, iat: server.clock + 0.25, exp: server.clock + 100.75 })
  for (const [name, subject] of [
    ['own', token],
    ['outside', await issuer.sign(server.clock, { iat: server.clock - 0.5, exp: server.clock + 100.75 })],
  ] as const) {
    const { status, body } = await exchange(alice, subject)
    t.match({ status, body }, { status: 200, body: { expires_in: 100 } }, name)
    const { iat, exp } = claimsOf(body.access_token)
    t.same([iat, exp], [server.clock, server.clock + 100], `${name}: no later than the end of the subject token`)
  }
  const { iat, exp } = claimsOf(await alice.token())
  t.ok(Number.isInteger(iat) && Number.isInteger(exp), 'as in every token of this server')
  const last = await issuer.sign(server.clock, { exp: server.clock + 0.75 })
  await refuseExchange(t, { server, connection: alice }, 'no whole second is left', last)
  t.match(server.events.at(-1), { detail: 'ended', facts: { found: server.clock + 0.75 } })
  await refuseExchange(
    t,
    { server, connection: alice },
    'own, no whole second is left',
    forge({ exp: server.clock + 0.75 }),
  )
})

t.test('accepts a proof with a fractional iat within its window', async t => {
  const own = await startTestServer({ clients: [register('alice', { token_bindings: ['proof'] })] })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const token = await connection.token()
  for (const iat of [own.clock + 0.5, own.clock - 59.5, own.clock + 4.75])
    t.match(await connection.get('/api/whoami', token, connection.prove(token, { iat })), good, `${iat - own.clock}`)
  for (const iat of [own.clock - 60.5, own.clock + 5.5])
    t.match(
      await connection.get('/api/whoami', token, connection.prove(token, { iat })),
      refusal('proof_invalid', 'invalid_proof'),
      `${iat - own.clock}`,
    )
})

t.test('accepts fractional times of another issuer at a resource server', async t => {
  const { server: own, ca } = server.pki
  const app = Fastify({
    serverFactory: mutualTls({ cert: own.certificate, key: own.key, ca: ca.certificate }),
  })
  await app.register(requireToken, {
    issuer: 'https://as.example',
    audience: 'https://rs.example',
    jwks: { keys: server.keys.published(server.clock) },
  })
  app.get('/', ({ token }) => token.claims)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as { port: number }
  const connection = await server.connect('alice', { port })
  const now = Date.now() / 1000
  const { 'x5t#S256': x5t } = confirmationOf(connection)
  const claims = {
    ...claimsFor(connection, server),
    iss: 'https://as.example',
    aud: 'https://rs.example',
    cnf: { 'x5t#S256': x5t },
  }
  const sign = (times: object) => forgeToken({ jwk, claims: { ...claims, ...times } })
  const times = { iat: now - 10.125, nbf: now - 10.0625, exp: now + 600.5 }
  t.match(await connection.get('/', sign(times)), { status: 200, body: times })
  t.match(await connection.get('/', sign({ ...times, exp: now - 0.001 })), refusal('expired'))
})
