// Known weaknesses of the libraries in use, and the rule against each. The weaknesses are in their defaults; a test here
// fails when a rule is removed.
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { generateTokenKey, importVerificationKey } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { claimsFor, forgeHmacToken, forgeToken, headerOf, signers } from '../../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const server = await startTestServer({
  tls: { timeouts: {} }, // of a real server
  signingKeys: [jwk],
  routes: app => {
    app.get('/tamper', ({ token }) => {
      const shared: object[] = [token, token.claims, token.claims.cnf, token.scope]
      for (const object of shared) Reflect.set(object, 'tampered', true)
      for (const object of shared) Reflect.set(object, 'client_id', 'bob')
      if (token.scope instanceof Set) token.scope.add('admin')
      return {}
    })
    app.get('/tampered', ({ token: { claims, scope } }) => ({
      claims,
      tampered: [claims, claims.cnf, scope].map(object => 'tampered' in object),
    }))
    app.get('/admin', { config: { requireToken: { scope: 'admin' } } }, () => ({}))
  },
})
t.teardown(() => server.close())
const alice = await server.connect('alice')
const token = await alice.token()

t.test('uses library versions with fixes for known vulnerabilities', async t => {
  const installed = (name: string): string =>
    JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version
  const numbers = (version: string) =>
    version
      .replace('v', '')
      .split('.')
      .map(part => part.padStart(6, '0'))
      .join('.')
  const floors = { fastify: '5.12.8', '@fastify/jwt': '10.2.8', 'fast-jwt': '6.3.6', 'node-forge': '1.4.3' }
  for (const [name, floor] of Object.entries(floors))
    t.ok(numbers(installed(name)) >= numbers(floor), `${name} ${installed(name)}`)
  t.ok(numbers(process.version) >= numbers('24.21.0'), `Node ${process.version}`)
  t.notOk(numbers('5.9.9') >= numbers('5.12.8'), 'control: versions are compared as numbers')
})

t.test('accepts no key as a secret in any spelling, even without the checks before the library (fast-jwt)', async t => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
    const key = await generateTokenKey(algorithm)
    const { verify } = await importVerificationKey(key)
    t.same(verify(forgeToken({ jwk: key, claims: { x: 1 } })), { x: 1 })
    const publicKey = createPublicKey(createPrivateKey({ key, format: 'jwk' }))
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    for (const secret of [
      pem,
      pem.trim(),
      der,
      der.toString('base64'),
      der.toString('hex'),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
      '',
    ])
      for (const alg of ['HS256', 'HS384', 'HS512', 'none', algorithm])
        t.equal(verify(forgeHmacToken({ ...headerOf(key), alg }, { x: 1 }, secret)), undefined)
  }
})

t.test('accepts one algorithm per key (fast-jwt)', async t => {
  const key = await generateTokenKey('RS256')
  const { verify } = await importVerificationKey(key)
  const forge = (alg: 'RS256' | 'RS512' | 'PS256') =>
    forgeToken({ jwk: key, header: { ...headerOf(key), alg }, claims: { x: 1 }, signer: signers[alg] })
  t.same(verify(forge('RS256')), { x: 1 })
  for (const alg of ['RS512', 'PS256'] as const) t.equal(verify(forge(alg)), undefined, alg)
})

t.test('returns a new object from each verification, with the cache off (fast-jwt)', async t => {
  const { verify } = await importVerificationKey(jwk)
  const first = verify(token) as { sub: string }
  first.sub = 'bob'
  t.match(verify(token), { sub: 'alice' })
})

t.test('isolates the claims of a request from the next request', async t => {
  t.match(await alice.get('/tampered', token), { status: 200, body: { claims: { client_id: 'alice' } } })
  t.equal((await alice.get('/admin', token)).status, 403)
  t.equal((await alice.get('/tamper', token)).status, 200)
  t.match(await alice.get('/tampered', token), {
    body: { claims: { client_id: 'alice' }, tampered: [false, false, false] },
  })
  t.equal((await alice.get('/admin', token)).status, 403, 'no scope was added')
  t.match((await alice.get('/api/whoami', token)).body, { client_id: 'alice', scope: 'notes:read notes:write' })
})

t.test('answers 401 where the default is 500 (@fastify/jwt)', async t => {
  const claims = claimsFor(alice, server)
  const { alg: _, ...withoutAlg } = headerOf(jwk)
  const wrong = [
    forgeToken({ jwk, header: { ...headerOf(jwk), alg: 'XX256' }, claims }),
    forgeToken({ jwk, header: withoutAlg, claims }),
    forgeToken({ jwk, claims }).slice(0, -40),
    forgeToken({ jwk, claims: { ...claims, nbf: server.clock + 60 } }),
    forgeToken({ jwk, claims: { ...claims, exp: `${claims.exp}` } }),
  ]
  for (const text of wrong)
    t.match(await alice.get('/api/whoami', text), { status: 401, body: { error: 'invalid_token' } })
})

t.test('sets every timeout, and checks tokens before unmatched routes (Fastify)', async t => {
  const { requestTimeout, headersTimeout, keepAliveTimeout } = server.app.server as unknown as Record<string, number>
  for (const timeout of [requestTimeout, headersTimeout, keepAliveTimeout])
    t.ok(timeout && timeout > 0 && timeout <= 60_000)
  for (const path of ['/api/nothing', '/api/', '/api/whoami/x', '/api/%2e%2e/x']) {
    t.match(await alice.get(path), { status: 401, body: { reason: 'no_token' } }, path)
    t.match(await alice.get(path, `${token}A`), refusal('bad_signature'), path)
    t.equal((await alice.get(path, token)).status, 404, path)
  }
})

t.test('parses no text format that no route needs (Fastify)', async t => {
  const post = async (path: string, type: string, body: string) => {
    const connection = await server.connect('alice') // may end with the refusal of its body
    const authorization = path === '/api/notes' ? { token: await connection.token() } : {}
    return connection.call(path, { method: 'POST', headers: { 'content-type': type }, body, ...authorization })
  }
  t.equal((await post('/api/notes', 'application/json', '{"text":"a"}')).status, 201)
  t.equal((await post('/api/notes', 'text/plain', '{"text":"a"}')).status, 415)
  t.equal((await post('/api/notes', 'application/x-www-form-urlencoded', 'text=a')).status, 415)
  const form = 'grant_type=client_credentials&client_id=alice'
  t.equal((await post('/oauth/token', 'application/x-www-form-urlencoded', form)).status, 200)
  for (const type of ['text/plain', 'application/json'])
    t.match(await post('/oauth/token', type, form), { status: 400, body: { reason: 'malformed_request' } }, type)
})

t.test('writes neither a URL with its query nor a token to a log or an event (Fastify)', async t => {
  for (const path of ['/api/whoami', '/oauth/token', '/nothing', '/binding']) {
    await alice.get(`${path}?access_token=${token}`, `${token}A`)
    await alice.get(`${path}?x=secret-in-the-query`)
    const post = { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }
    await (await server.connect('alice')).call(`${path}?x=secret-in-the-query`, post)
  }
  const written = [...server.log, ...server.events.map(event => JSON.stringify(event))].join('\n')
  t.ok(written.includes('"path":"/api/whoami"'))
  t.notOk(written.includes('secret-in-the-query'))
  for (const segment of token.split('.')) t.notOk(written.includes(segment))
})
