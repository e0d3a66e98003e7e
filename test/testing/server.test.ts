// startTestServer as users import it: its issuer is where it listens, so that clients and resource servers need nothing but its
// origin and its authority.

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { mutualTls, requireToken } from 'tlsbound'
import { createClient } from 'tlsbound/client'
import { startTestServer } from 'tlsbound/testing'
import { openConnection } from '../../src/testing/connection.ts'
import { claimsOf } from '../helpers/tokens/outside-issuer.ts'

t.test('the issuer of a server is its origin, and each server has another one', async t => {
  const [one, two] = [await startTestServer(), await startTestServer()]
  for (const server of [one, two]) {
    t.teardown(() => server.close())
    const alice = await server.connect('alice')
    const { issuer, token_endpoint, jwks_uri } = (await alice.get('/.well-known/oauth-authorization-server')).body
    t.same(
      [issuer, token_endpoint, jwks_uri],
      ['', '/oauth/token', '/oauth/jwks'].map(path => server.origin + path),
    )
    t.match(claimsOf(await alice.token()), { iss: server.origin, aud: server.origin })
    t.equal(server.origin, `https://localhost:${server.port}`)
  }
  t.not(one.port, two.port)
})

t.test('a client needs its origin only, and a resource server the name of the issuer', async t => {
  const server = await startTestServer({ routes: app => void app.get('/mine', ({ token }) => token.claims.sub) })
  t.teardown(() => server.close())
  const { alice, ca, server: own } = server.pki
  const identity = { certificate: alice.certificate, key: alice.key, ca: ca.certificate }
  const client = createClient({ origin: server.origin, identity })
  t.equal(await (await client.fetch('/mine')).text(), 'alice')
  await client.close()

  const material = { cert: own.certificate, key: own.key, ca: ca.certificate }
  const app = Fastify({ serverFactory: mutualTls(material) })
  const { origin } = server
  await app.register(requireToken, { issuer: origin, audience: origin, jwks: { ca: ca.certificate } })
  app.get('/', ({ token }) => token.binding)
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const as = { cert: alice.certificate, key: alice.key, ca: ca.certificate }
  const there = await openConnection({ host: '127.0.0.1', port, servername: 'localhost', ...as }, 'alice')
  t.teardown(() => there.close())
  const here = await server.connect('alice')
  const token = await here.token({ token_binding: 'certificate' })
  t.match(await there.get('/', token), { status: 200, text: 'certificate' }, 'its keys are discovered')
  t.match(await there.get('/', await here.token()), { status: 401, body: { reason: 'connection_mismatch' } })
})

t.test('a given issuer and a given port are used', async t => {
  const named = await startTestServer({ env: { TLSBOUND_ISSUER: 'https://as.example' } })
  t.teardown(() => named.close())
  t.match(claimsOf(await (await named.connect('alice')).token()), { iss: 'https://as.example' })
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  const env = { TLSBOUND_PORT: String(port) }
  await t.rejects(startTestServer({ env }), { code: 'EADDRINUSE' }, 'a port in use')
  await new Promise(resolve => probe.close(resolve))
  const placed = await startTestServer({ env })
  t.teardown(() => placed.close())
  t.equal(placed.port, port)
  t.match(claimsOf(await (await placed.connect('alice')).token()), { iss: `https://localhost:${port}` })
})
