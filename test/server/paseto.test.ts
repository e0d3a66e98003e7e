// Clients registered for PASETO: what a server needs for them, and their tokens at every endpoint. OA16, OA17, OA20, OA21, OA25 again for
// this form. RFC 7662, RFC 7009, RFC 8693; PASERK.
import { createPublicKey } from 'node:crypto'
import t from 'tap'
import { generateTokenKey, importSigningKeys, type TokenJwk } from '../../src/keys/token-keys.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { at, callOps } from '../helpers/server/ops.ts'
import { refuseEach } from '../helpers/server/refusals.ts'
import { forgePaseto, readPaseto } from '../helpers/tokens/forge-paseto.ts'
import { claimsFor, issuer } from '../helpers/tokens/forge-token.ts'
import { introspect, refresh, register, revoke, startGrant, tokensOf } from '../helpers/tokens/grants.ts'
import { exchange, exchangeGrant, refuseExchange, tokenType } from '../helpers/tokens/outside-issuer.ts'

const [ec, key, other] = (await Promise.all((['ES256', 'v4.public', 'v4.public'] as const).map(generateTokenKey))) as [
  TokenJwk,
  TokenJwk,
  TokenJwk,
]
const paseto = {
  access_token_format: 'paseto',
  token_bindings: ['connection', 'certificate', 'proof'],
  grant_types: ['client_credentials', 'refresh_token', exchangeGrant],
}
const clients = [register('alice', paseto), register('bob'), register('mallory', { resource: issuer })]
const server = await startTestServer({ ops: true, clients, signingKeys: [ec, key] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const api = await server.connect('mallory')
const served = { status: 200, body: { client_id: 'alice' } }

t.test('publishes the key as JWK and as PASERK, and announces both (OA25, N-76)', async t => {
  const { body: metadata } = await alice.get('/.well-known/oauth-authorization-server')
  t.match(metadata, {
    paserks_uri: `${issuer}/oauth/paserks`,
    access_token_formats_supported: ['jwt', 'opaque', 'paseto'],
  })
  const { body: jwks } = await alice.get('/oauth/jwks')
  const { kty, crv, x } = key
  t.same(jwks.keys[1], { kty, crv, x, kid: key.kid, alg: 'v4.public', use: 'sig' })
  const paserks = await alice.get('/oauth/paserks')
  t.match(paserks, { status: 200, headers: { 'cache-control': 'max-age=300' } })
  t.same(paserks.body, { keys: { [key.kid]: `k4.public.${x}` } })
  t.notOk(JSON.stringify([jwks, paserks.body]).includes(String(key.d)))
})

t.test('announces no format without a key for it (N-76)', async t => {
  const plain = await startTestServer({ signingKeys: [ec] })
  t.teardown(() => plain.close())
  const connection = await plain.connect('alice')
  const { body } = await connection.get('/.well-known/oauth-authorization-server')
  t.same(body.access_token_formats_supported, ['jwt', 'opaque'])
  t.same((await connection.get('/oauth/paserks')).body, { keys: {} })
  await refuseEach(t, plain, connection, [
    ['a PASETO of a key that it does not have', forgePaseto({ jwk: key, claims: claimsFor(connection, plain) })],
  ])
})

t.test('shows the claims of a PASETO to its resource server only, with times as numbers (OA17)', async t => {
  const { access } = await startGrant(alice)
  const { claims } = readPaseto(access, key)
  t.match((await introspect(api, access, 'mallory')).body, {
    ...{ active: true, token_type: 'Bearer', client_id: 'alice', jti: claims.jti, cnf: claims.cnf },
    ...{ iat: server.clock, nbf: server.clock, exp: server.clock + 300 },
  })
  t.same((await introspect(bob, access, 'bob')).body, { active: false })
  t.match(server.events.at(-1), { reason: 'client_mismatch', jti: claims.jti }, 'the stolen token is recognised')
  for (const text of [access.slice(0, -1), `${access}x`, access.replace('v4.public', 'v4.local'), 'v4.public.x'])
    t.same((await introspect(api, text, 'mallory')).body, { active: false })
})

t.test('revokes a PASETO, and those of its grant; another client cannot (OA20, OA21)', async t => {
  const first = await startGrant(alice, { token_binding: 'certificate' })
  t.match(await revoke(bob, first.access, 'bob'), { status: 200 })
  t.match(server.events.at(-1), { reason: 'client_mismatch' })
  const second = tokensOf(await refresh(alice, first.refresh, { token_binding: 'certificate' }))
  t.match(second.access, /^v4\.public\./, 'a refresh issues the same format')
  for (const token of [first.access, second.access]) t.match(await alice.get('/api/whoami', token), served)
  t.match(await revoke(alice, first.access), { status: 200 })
  await refuseEach(t, server, alice, [['revoked', first.access, 'revoked']])
  t.match(await alice.get('/api/whoami', second.access), served, 'control: its grant is valid')
  t.match(await revoke(alice, second.refresh), { status: 200 })
  await refuseEach(t, server, await server.connect('alice'), [['its grant is revoked', second.access, 'revoked']])
  for (const text of ['v4.public.x', 'v4.local.x', `${second.access}x`])
    t.match(await revoke(alice, text), { status: 200 }, 'garbage is answered like a token')
})

t.test('exchanges its own PASETO, from its own presenter only (N-71)', async t => {
  const token = await alice.token()
  const answer = await exchange(alice, token)
  t.match(answer, { status: 200, body: { issued_token_type: tokenType('access_token') } })
  t.match(readPaseto(answer.body.access_token, key).claims, { sub: 'alice' })
  const second = await server.connect('alice')
  await refuseExchange(t, { server, connection: second }, 'on another connection', token)
  await refuseExchange(t, { server, connection: alice }, 'called a JWT', token, {
    subject_token_type: tokenType('jwt'),
  })
  const claims = claimsFor(alice, server)
  for (const [name, text] of Object.entries({
    'another key': forgePaseto({ jwk: other, claims }),
    'no implicit assertion': forgePaseto({ jwk: key, claims, implicit: '' }),
    'v4.local': token.replace('public', 'local'),
    'a footer of 7 KiB': forgePaseto({ jwk: key, claims, footer: 'x'.repeat(5000) }),
  }))
    await refuseExchange(t, { server, connection: alice }, name, text)
  t.match(await exchange(alice, forgePaseto({ jwk: key, claims })), { status: 200 }, 'control')
})

t.test('rejects tokens of a removed key, and issues none without a key', async t => {
  const own = await startTestServer({ clients, signingKeys: [ec, key] })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const { access, refresh: token } = await startGrant(connection, { token_binding: 'certificate' })
  t.match(await connection.get('/api/whoami', access), served)
  own.keys.replace(await importSigningKeys([ec, other]), own.clock)
  await refuseEach(t, own, connection, [['the key was removed', access, 'revoked']])
  const next = tokensOf(await refresh(connection, token))
  t.same(readPaseto(next.access, other).footer, { kid: other.kid }, 'the new key signs')
  own.keys.replace(await importSigningKeys([ec]), own.clock)
  for (const answer of [await connection.requestToken(), await refresh(connection, next.refresh)])
    t.match(answer, { status: 401, body: { error: 'invalid_client', reason: 'client_disabled' } })
  t.match(own.events.at(-1), { event: 'client.refused', detail: 'format_unavailable' })
  own.keys.replace(await importSigningKeys([ec, other]), own.clock)
  t.match(await refresh(connection, next.refresh), { status: 200 }, 'the refresh token is still unused')
})

t.test('refuses to start, and to register a client, without a key for its format (N-76)', async t => {
  await t.rejects(startTestServer({ clients, signingKeys: [ec] }), {
    message:
      /^client "alice": access_token_format paseto requires a signing key with alg v4\.public that signs now; add one with tlsbound keys rotate --algorithm v4\.public$/,
  })
  const later = { ...key, nbf: server.clock + 3600 }
  await t.rejects(
    startTestServer({ clients, signingKeys: [ec, later] }),
    /that signs now; one signs from 20\S+Z on: wait until then/,
  )
  const plain = await startTestServer({ ops: true, signingKeys: [ec] })
  t.teardown(() => plain.close())
  const put = (body: unknown, of = plain) => callOps(of, 'PUT', at('carol'), { body })
  const registration = register('carol', paseto)
  t.match(await put(registration), { status: 400, body: { problems: [/requires a signing key with alg v4\.public/] } })
  t.match(await put('null'), { status: 400 })
  t.match(await put({ ...registration, access_token_format: 'jwt' }), { status: 201 }, 'control: another format')
  t.match(await put(registration, server), { status: 201 }, 'control: a server with a key')
  t.match(await put({ ...registration, access_token_format: 'v4.public' }, server), {
    body: { problems: ['access_token_format must be one of jwt, opaque, paseto'] },
  })
})

t.test('verifies with the published key alone, as any PASETO library can (N-76)', async t => {
  const token = await alice.token()
  const { body } = await alice.get('/oauth/paserks')
  const { footer } = readPaseto(token, key)
  const x = String(body.keys[footer.kid]).slice('k4.public.'.length)
  t.equal(createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }).asymmetricKeyType, 'ed25519')
  t.match(readPaseto(token, { kty: 'OKP', crv: 'Ed25519', x }).claims, { client_id: 'alice' })
  t.throws(() => readPaseto(token, other), 'control: another key')
})
