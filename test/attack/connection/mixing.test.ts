// Own and stolen tokens on one connection, and a man in the middle between two connections. CB26: each request is decided
// separately. CB27: a token that is bound to one side of a relay is rejected on the other.

import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import t from 'tap'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { requestRawToken, startRelay } from '../../helpers/tls/raw-tls.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const whoami = '/api/whoami'

/** Tokens of every kind, with the expected response of the connection of alice that owns `own`. */
async function makeMix(own: string): Promise<(readonly [token: string | undefined, expected: object])[]> {
  const [other, bob] = [await server.connect('alice'), await server.connect('bob')]
  return [
    [own, { status: 200, body: { client_id: 'alice', token_binding: 'connection' } }],
    [await other.token(), refusal('connection_mismatch')],
    [await other.token({ token_binding: 'certificate' }), { status: 200, body: { token_binding: 'certificate' } }],
    [await bob.token(), refusal('certificate_mismatch')],
    [own, { status: 200, body: { token_binding: 'connection' } }],
    [await bob.token({ token_binding: 'certificate' }), refusal('certificate_mismatch')],
    [`${own.slice(0, -4)}AAAA`, refusal('bad_signature')],
    [undefined, { status: 401, body: { reason: 'no_token' } }],
  ]
}

t.test('decides each HTTP/2 stream of a connection separately (CB26)', async t => {
  const connection = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const mix = await makeMix(await connection.token())
  const streams = Array.from({ length: 160 }, (_, index) => mix[(index * 5) % mix.length] as (typeof mix)[number])
  const before = server.events.length
  const answers = await Promise.all(streams.map(([token]) => connection.get(whoami, token)))
  for (const [index, [, expected]] of streams.entries()) t.match(answers[index], expected, `stream ${index}`)
  t.equal(server.events.length - before, 100, 'each refusal is one event (I7)')
})

t.test('decides each pipelined HTTP/1.1 request of a connection separately (CB26)', async t => {
  const connection = await server.connect('alice')
  const mix = await makeMix(await requestRawToken(connection))
  const sequence = Array.from({ length: 160 }, (_, index) => mix[(index * 3) % mix.length] as (typeof mix)[number])
  const bytes = sequence.map(([token]) =>
    requestText(`GET ${whoami}`, token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  )
  // Not more at once: over TLS, Node's server stops when more than 64 KiB of responses wait to be sent.
  for (let start = 0; start < sequence.length; start += 40) {
    const { answers } = await exchange(connection, bytes.slice(start, start + 40).join(''), { until: 40 })
    for (const [index, [, expected]] of sequence.slice(start, start + 40).entries())
      t.match(answers[index], expected, `request ${start + index}`)
  }
})

t.test('rejects a stolen token however many valid tokens the connection remembers (CB26)', async t => {
  const connection = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const stolen = await (await server.connect('alice')).token()
  const own = await Promise.all(Array.from({ length: 40 }, () => connection.token()))
  for (const round of [own, own.toReversed()])
    for (const token of round) {
      t.match(await connection.get(whoami, token), { status: 200 })
      t.match(await connection.get(whoami, stolen), refusal('connection_mismatch'))
    }
})

/**
 * Starts a man in the middle with a certificate for the server's name, which connects to the server as `who`. Returns its
 * port.
 */
async function startEvil(t: { teardown(end: () => void): void }, who: 'alice' | 'bob' | 'mallory' | null) {
  const names = { subject: [['CN', 'localhost']], altNames: [{ dns: 'localhost' }] } as const
  const { certificate: cert, key } = issueCertificate({ ...names, issuer: server.pki.ca })
  const legs: TLSSocket[] = []
  const evil = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, async victim => {
    const { socket } = await server.connect(who)
    victim.on('error', () => {}).pipe(socket)
    socket.pipe(victim)
    legs.push(victim, socket)
  })
  t.teardown(() => {
    for (const leg of legs) leg.destroy()
    evil.close()
  })
  await new Promise<void>(resolve => evil.listen(0, '127.0.0.1', resolve))
  return (evil.address() as AddressInfo).port
}

t.test('serves a client through a relay that only forwards bytes (CB27)', async t => {
  const seen: Buffer[] = []
  const port = await startRelay(t, server.port, async function* (bytes) {
    for await (const part of bytes) {
      seen.push(part)
      yield part
    }
  })
  const victim = await server.connect('alice', { port })
  const token = await victim.token()
  t.match(await victim.get(whoami, token), { status: 200, body: { token_binding: 'connection' } })
  t.ok(seen.length > 2)
  t.notOk(Buffer.concat(seen).includes(token.slice(0, 40)), 'it sees no token')
})

for (const who of [null, 'mallory', 'bob'] as const)
  t.test(`gives a man in the middle who connects as ${who ?? 'nobody'} no access as alice (CB27)`, async t => {
    const direct = await server.connect('alice')
    const token = await direct.token()
    t.match(await direct.get(whoami, token), { status: 200 })
    const victim = await server.connect('alice', { port: await startEvil(t, who) })
    const reason = who === null ? 'no_certificate' : 'certificate_mismatch'
    t.match(await victim.get(whoami, token), refusal(reason), 'a token of a direct connection')
    t.match(
      await victim.get(whoami, await direct.token({ token_binding: 'certificate' })),
      refusal(reason),
      'even a certificate-bound token',
    )
    t.match(
      await victim.requestToken(),
      refusal(who === null ? 'no_certificate' : 'client_mismatch', 'invalid_client'),
      'a token request',
    )
    if (who !== 'bob') return
    const foisted = await victim.token({ client_id: 'bob' })
    t.match(
      await direct.get(whoami, foisted),
      refusal('certificate_mismatch'),
      "the attacker's token, injected for alice",
    )
  })

t.test(
  "rejects tokens moved between the two connections of a man in the middle who has alice's key (CB27)",
  async t => {
    const direct = await server.connect('alice')
    const token = await direct.token()
    t.match(await direct.get(whoami, token), { status: 200 })
    const victim = await server.connect('alice', { port: await startEvil(t, 'alice') })
    t.match(await victim.get(whoami, token), refusal('connection_mismatch'))
    const relayed = await victim.token()
    t.match(await victim.get(whoami, relayed), { status: 200 }, 'on its own connection it is alice')
    t.match(await direct.get(whoami, relayed), refusal('connection_mismatch'))
  },
)
