// Tokens as an attack: forged ones at full rate, with varying signatures or key ids, and thousands of valid ones on one
// connection. DS06, I7. Others are served, no key is fetched for them, and memory is bounded.

import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import Fastify from 'fastify'
import t from 'tap'
import { mutualTls, requireToken } from 'tlsbound'
import { openConnection } from '../../../src/testing/connection.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { connectionOf } from '../../../src/tls/connection.ts'
import { startTlsbound } from '../../helpers/process/process.ts'
import { flood, mebibytes, tellWaits, weigh } from '../../helpers/server/exhaustion.ts'

t.setTimeout(120_000)

t.test('serves other clients during a flood of forged tokens, and releases its memory (DS06)', async t => {
  const folder = t.testdir()
  const server = await startTlsbound(t, folder)
  const connection = await server.connect('alice')
  const victim = { connection, token: await connection.token() }
  const kinds = {
    signatures: 'with the right key id and a signature of the right form',
    kids: 'with unknown key ids, each different',
  } as const
  for (const [kind, what] of Object.entries(kinds) as [keyof typeof kinds, string][]) {
    await flood(kind, server, folder, 1, victim) // memory that a server keeps after its first flood
    const warm = weigh(server)
    const written = server.stdout().length
    const { flooded, waits } = await flood(kind, server, folder, 3, victim)
    const { 401: refused = 0, ...others } = flooded.outcomes
    const grown = weigh(server).memory - warm.memory
    t.comment(`${refused} tokens in ${flooded.seconds.toFixed(1)} s ${what}; ${mebibytes(grown)} more memory`)
    t.comment(tellWaits(waits))
    t.ok(refused > 200)
    t.same(others, {}, 'all of them were refused')
    t.same(Object.keys(waits.statuses), ['200'])
    t.ok(waits.p99 < 2000)
    t.ok(grown < 64 * 1_048_576)
    t.ok(server.stdout().length - written < 200_000, 'the log is not flooded')
  }
})

t.test("fetches the issuer's keys once during a flood of unknown key ids (DS06)", async t => {
  const issuer = await startTestServer()
  t.teardown(() => issuer.close())
  let fetched = 0
  issuer.app.server.on('request', ({ url }) => void (url === '/oauth/jwks' && fetched++))
  const { server, alice, ca } = issuer.pki
  const app = Fastify({ serverFactory: mutualTls({ cert: server.certificate, key: server.key, ca: ca.certificate }) })
  const [name, jwks] = ['https://localhost:8443', { uri: `${issuer.origin}/oauth/jwks`, ca: ca.certificate }]
  await app.register(requireToken, { issuer: name, audience: name, jwks })
  app.get('/', () => 'here')
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const tls = { servername: 'localhost', ca: ca.certificate, cert: alice.certificate, key: alice.key }
  const { port } = app.server.address() as AddressInfo
  const there = await openConnection({ host: '127.0.0.1', port, ...tls, ALPNProtocols: ['h2'] }, 'alice')
  t.teardown(() => there.close())

  const token = await (await issuer.connect('alice')).token({ token_binding: 'certificate' })
  const withKid = (kid: string) =>
    [
      Buffer.from(JSON.stringify({ typ: 'at+jwt', alg: 'ES256', kid })).toString('base64url'),
      ...token.split('.').slice(1),
    ].join('.')
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => there.get('/', withKid(`${round}-${index}`))),
    )
    t.same(new Set(answers.map(({ status, body }) => `${status} ${body.reason}`)), new Set(['401 bad_signature']))
  }
  t.match(await there.get('/', token), { status: 200 }, 'control')
  t.equal(fetched, 1)
})

t.test('remembers sixty-four of a thousand valid tokens of one connection, and accepts all (DS06)', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const sockets: TLSSocket[] = []
  server.app.server.on('secureConnection', (socket: TLSSocket) => void sockets.push(socket))
  const connection = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const elsewhere = await server.connect('alice')
  const size = () => connectionOf(sockets[0])?.verified?.size
  const first = await connection.token({ token_binding: 'certificate' })
  for (let round = 0; round < 10; round++) {
    const tokens = await Promise.all(
      Array.from({ length: 100 }, () => [connection, elsewhere][round % 2]?.token({ token_binding: 'certificate' })),
    )
    const answers = await Promise.all(tokens.map(token => connection.get('/api/whoami', token)))
    t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
    t.equal(size(), 64)
  }
  t.match(await connection.get('/api/whoami', first), { status: 200 }, 'a forgotten token is verified again')
})
