// Requests through a gateway: verified as by requireToken, forwarded as they are, and answered as the upstream answers.
import { createPublicKey, createVerify } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../helpers/client/sidecar.ts'
import { type Seen, startGateway, startUpstream } from '../helpers/server/gateway.ts'

const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString())
const assertionOf = (seen: Seen | undefined) => String(seen?.headers['tlsbound-assertion'])
const claimsOf = (jwt: string) => decode(jwt.split('.')[1])

for (const protocol of ['http/1.1', 'h2'])
  t.test(
    `over ${protocol}, a request with a token of its connection reaches the upstream, any other does not`,
    async t => {
      const upstream = await startUpstream(t)
      const server = await startGateway(t, [
        { path: '/py/', upstream: upstream.address, scope: 'notes:read', binding: 'connection' },
      ])
      const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
      const token = await alice.token()
      t.match(await alice.get('/py/a%20b?x=1&y=%2F', token), { status: 200, text: 'ok' })
      t.match(upstream.seen, [{ method: 'GET', url: '/py/a%20b?x=1&y=%2F' }])
      const posted = { method: 'POST', token, body: 'hello', headers: { 'content-type': 'no/type; at=all' } }
      t.match(await alice.call('/py', posted), { status: 200 })
      t.match(upstream.seen[1], {
        method: 'POST',
        url: '/py',
        body: 'hello',
        headers: { 'content-type': 'no/type; at=all' },
      })

      t.match(await alice.get('/py/'), { status: 401, body: { reason: 'no_token' } })
      t.match(await (await server.connect('alice')).get('/py/', token), {
        status: 401,
        body: { reason: 'connection_mismatch' },
      })
      t.match(await (await server.connect('bob')).get('/py/', token), { body: { reason: 'certificate_mismatch' } })
      t.match(await alice.get('/py/', await alice.token({ token_binding: 'certificate' })), {
        body: { reason: 'binding_too_weak' },
      })
      t.match(await alice.get('/py/', await alice.token({ scope: 'notes:write' })), {
        status: 403,
        body: { reason: 'scope_missing' },
      })
      t.match(await alice.get('/pyx', token), { status: 404 })
      t.match(await alice.get('/', token), { status: 404 })
      t.match(await alice.get('/binding'), { status: 200 })
      t.match(await alice.get('/elsewhere', token), { status: 404 })
      t.match(await alice.get('/oauth/token', token), { status: 405 }, 'an endpoint of the server is no route')
      t.equal(upstream.seen.length, 2)
      t.match(server.events.at(-1), { event: 'token.refused', reason: 'malformed_request', path: '/oauth/token' })
      t.match(
        server.events.filter(({ path }) => path === '/py/').map(({ reason }) => reason),
        ['no_token', 'connection_mismatch', 'certificate_mismatch', 'binding_too_weak', 'scope_missing'],
        'each refusal is an event',
      )
    },
  )

t.test('the assertion names the presenter, is signed once, and verifies with the published keys', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/', upstream: upstream.address }])
  const alice = await server.connect('alice')
  const token = await alice.token()
  for (const path of ['/a', '/b']) t.match(await alice.get(path, token), { status: 200 })
  const [first, second] = upstream.seen.map(assertionOf)
  t.equal(first, second)
  const [header, payload, signature] = (first as string).split('.')
  const claims = decode(payload)
  const owned = claimsOf(token)
  t.match(decode(header), { typ: 'tlsbound-assertion+jwt', alg: 'ES256' })
  t.same(claims, {
    ...{ iss: 'https://localhost:8443', aud: upstream.address, sub: 'alice', client_id: 'alice' },
    ...{ scope: 'notes:read notes:write', cnf: owned.cnf, jti: owned.jti, token_binding: 'connection' },
    ...{ token_exp: owned.exp, iat: server.clock, exp: server.clock + 60 },
  })
  const { body } = await alice.get('/oauth/jwks')
  const key = createPublicKey({ key: body.keys[0], format: 'jwk' })
  const signed = Buffer.from(signature as string, 'base64url')
  const isGood = (text: string) =>
    createVerify('sha256').update(text).verify({ key, dsaEncoding: 'ieee-p1363' }, signed)
  t.ok(isGood(`${header}.${payload}`))
  t.notOk(isGood(`${header}.${payload}x`), 'control')
  t.match(await alice.get('/a', first), { status: 401, body: { reason: 'wrong_type' } }, 'it is no access token')

  server.clock += 29
  await alice.get('/c', token)
  t.equal(assertionOf(upstream.seen[2]), first)
  server.clock += 1
  await alice.get('/d', token)
  t.equal(claimsOf(assertionOf(upstream.seen[3])).exp, server.clock + 60)
  server.clock = owned.exp - 5
  await alice.get('/e', token)
  t.equal(claimsOf(assertionOf(upstream.seen[4])).exp, owned.exp)
})

t.test('routes: the longest path, its host, its methods, and what it strips', async t => {
  const [one, two, three] = [await startUpstream(t), await startUpstream(t), await startUpstream(t)]
  const server = await startGateway(t, [
    { path: '/', upstream: one.address, public: true },
    { path: '/two', upstream: two.address, public: true, strip_path: true, methods: ['GET', 'DELETE'] },
    { path: '/two', host: '127.0.0.1', upstream: three.address, public: true },
  ])
  const alice = await server.connect('alice')
  await alice.get('/twofold/x')
  await alice.get('/two')
  await alice.get('/two/?q')
  await alice.get('/two/a%20b/')
  t.match(await alice.call('/two/x', { method: 'POST', body: 'x' }), {
    status: 405,
    headers: { allow: 'GET, DELETE' },
    body: { reason: 'malformed_request' },
  })
  t.match(await alice.call('/two/x', { method: 'DELETE' }), { status: 200 })
  t.match(await alice.call('/x', { method: 'PROPFIND' }), { status: 200 })
  t.match(await alice.call('/x', { method: 'TRACE' }), { status: 405 })
  t.match(await alice.call('/two/x', { method: 'HEAD' }), { status: 200 })
  t.same(
    one.seen.map(({ method, url }) => `${method} ${url}`),
    ['GET /twofold/x', 'PROPFIND /x'],
  )
  t.same(
    two.seen.map(({ method, url }) => `${method} ${url}`),
    ['GET /', 'GET /?q', 'GET /a%20b/', 'DELETE /x', 'HEAD /x'],
  )
  const unnamed = await server.connect('alice', { servername: '', host: '127.0.0.1' })
  await unnamed.call('/two/x', { headers: { host: '127.0.0.1:8443' } })
  t.match(three.seen, [{ url: '/two/x' }])
})

t.test('a unix socket as upstream, and a route that needs a proof for each request', async t => {
  const path = join(makeFolder(t), 'u.sock')
  const hosts: unknown[] = []
  const upstream = createServer((request, response) => {
    hosts.push(request.headers.host)
    response.end('unix')
  })
  await new Promise<void>(done => upstream.listen(path, done))
  t.teardown(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  const server = await startGateway(t, [
    { path: '/', upstream: `unix:${path}` },
    { path: '/strict', upstream: `unix:${path}`, binding: 'proof', proof: 'per-request' },
  ])
  const alice = await server.connect('alice')
  const token = await alice.token({ token_binding: 'proof' })
  const proof = alice.prove(token)
  t.match(await alice.get('/a', token, proof), { status: 200, text: 'unix' })
  t.match(await alice.get('/a', token, proof), { status: 200 })
  t.same(hosts, ['localhost', 'localhost'])
  t.match(await alice.get('/strict', token, proof), { status: 401, body: { reason: 'proof_invalid' } })
  const once = alice.prove(token, { jti: 'one', htm: 'GET', htu: 'https://localhost/strict' })
  const answer = await alice.get('/strict', token, once)
  t.match(answer, { status: 200 }, answer.text)
  t.match(await alice.get('/strict', token, once), { status: 401, body: { reason: 'proof_invalid' } }, 'used again')
  t.equal(hosts.length, 3)
})
