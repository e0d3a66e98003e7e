// Signed requests through a gateway: an upstream never gets a complete request whose body differs from its digest. RFC 9421, RFC 9530.
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { formatContentDigest } from '../../src/core/content-digest.ts'
import type { Call } from '../../src/lab/connection.ts'
import { type Signing, signCall } from '../helpers/client/sign-call.ts'
import { type GatewayServer, startGateway, startRawUpstream, startUpstream } from '../helpers/server/gateway.ts'
import { exchange } from '../helpers/server/raw-http.ts'
import { until } from '../helpers/until.ts'

const posted = { method: 'POST', headers: { 'content-type': 'text/plain' } }
const refused = {
  status: 401,
  headers: { 'accept-signature': /^sig=/ },
  body: { error: 'invalid_signature', reason: 'digest_invalid' },
}

/** A connection that has sent nothing can send any octets. */
async function openClient(server: GatewayServer, protocol: string) {
  const alice = await server.connect('alice', { ALPNProtocols: [protocol] })
  const token = await (await server.connect('alice')).token({ token_binding: 'certificate' })
  const sign = (path: string, call: Call = {}, signing: Signing = {}) =>
    signCall(alice, server.pki.alice, path, { token, ...call }, signing, server.clock)
  return { alice, token, sign, call: (...given: Parameters<typeof sign>) => alice.call(given[0], sign(...given)) }
}

for (const protocol of ['http/1.1', 'h2'])
  t.test(`over ${protocol}, forwards a signed request as it is, and refuses any other (N-68)`, async t => {
    const upstream = await startUpstream(t)
    const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
    const { alice, token, sign, call } = await openClient(server, protocol)
    t.match(await call('/a/b?x=1'), { status: 200, text: 'ok' })
    for (const body of ['hello', 'x'.repeat(500_000)]) {
      t.match(await call('/a/', { ...posted, body }), { status: 200 })
      t.equal(upstream.seen.at(-1)?.body, body)
    }
    const { headers } = upstream.seen.at(-1) as (typeof upstream.seen)[0]
    t.match(headers, { 'content-digest': /^sha-256=:/, 'content-type': 'text/plain' })
    t.notOk('tls-channel-binding' in headers, 'no statement of the client about the connection')
    const count = upstream.seen.length
    t.match(await alice.get('/a/', token), { status: 401, body: { reason: 'signature_missing' } })
    t.match(await call('/a/', {}, { target: '/a/other' }), { status: 401, body: { reason: 'signature_invalid' } })
    const again = sign('/a/')
    t.match(await alice.call('/a/', again), { status: 200 })
    t.match(await alice.call('/a/', again), { status: 401, body: { reason: 'signature_invalid' } }, 'a second time')
    t.equal(upstream.seen.length, count + 1)
    t.match(server.events.slice(-2), [{ detail: 'wrong_signature' }, { detail: 'used_already' }])
  })

for (const protocol of ['http/1.1', 'h2'])
  t.test(`over ${protocol}, an upstream never gets a complete request with another body (N-70)`, async t => {
    const upstream = await startRawUpstream(t, () => {})
    const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
    const { call } = await openClient(server, protocol)
    const long = 'x'.repeat(500_000)
    for (const [body, sent] of [
      ['hello', 'hellp'],
      ['hello', 'hell'],
      ['hello', 'hello!'],
      [long, `${long.slice(1)}y`],
      [long, `y${long.slice(1)}`],
      [long, long.slice(1)],
    ] as const) {
      const { length } = server.events
      const received = upstream.received.length
      t.match(await call('/a/', { ...posted, body }, { sent }), refused, `${body.length} ${sent.length}`)
      await until(() => server.events.length > length)
      t.match(server.events.slice(length), [
        { event: 'token.refused', detail: 'mismatch', status: 401, client_id: 'alice' },
      ])
      await until(() => upstream.sockets.size === 0)
      for (const octets of upstream.received.slice(received)) {
        if (octets === '') continue // a short body has not even begun
        const [head = '', ...rest] = octets.split('\r\n\r\n')
        const content = rest.join('\r\n\r\n')
        t.match(head, new RegExp(`content-length: ${sent.length}`, 'i'), 'a complete request has this many octets')
        t.ok(content.length < sent.length, `${content.length} of ${sent.length}`)
      }
    }
    t.ok(
      upstream.received.some(octets => octets.length > 100_000),
      'control: long bodies are streamed',
    )
  })

for (const last of ['three', 'thrEE'])
  t.test(`holds the end of a chunked body back, and its last piece: ${last}`, async t => {
    const upstream = await startRawUpstream(t, socket => {
      if (upstream.received.at(-1)?.endsWith('0\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    })
    const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
    const { alice, token, sign } = await openClient(server, 'http/1.1')
    const digest = formatContentDigest(createHash('sha256').update('onetwothree').digest())
    const signed = sign('/a/', {
      ...posted,
      body: 'onetwothree',
      headers: { ...posted.headers, 'content-digest': digest },
    })
    const fields = { host: `localhost:${alice.socket.remotePort}`, authorization: `Bearer ${token}`, ...signed.headers }
    const head = Object.entries({ ...fields, 'transfer-encoding': 'chunked' }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    const answered = exchange(alice, `POST /a/ HTTP/1.1\r\n${head.join('')}\r\n3\r\none\r\n`, { until: 1 })
    await wait(50)
    alice.socket.write('3\r\ntwo\r\n')
    const received = () => upstream.received.at(-1)?.split('\r\n\r\n').slice(1).join('') ?? ''
    await until(() => received() !== '')
    t.equal(received(), '3\r\none', 'a piece is passed on once there is another one')
    alice.socket.write(`5\r\n${last}\r\n0\r\n\r\n`)
    const { answers } = await answered
    if (last === 'three') t.match(answers, [{ status: 200, text: 'ok' }], 'control')
    else {
      t.match(answers, [refused])
      t.equal(received(), '3\r\none\r\n3\r\ntwo')
    }
  })

t.test('sends 100 Continue only for a request whose signature is valid', async t => {
  const upstream = await startUpstream(t)
  const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
  for (const [change, sent, status] of [
    [{}, 'hello', 200],
    [{}, 'hellO', 401],
    [{ nonce: 'n', fields: { signature: 'sig=:AAAA:' } }, undefined, 401],
  ] as const) {
    const { alice, token, sign } = await openClient(server, 'http/1.1')
    const signed = sign('/a/', { ...posted, body: 'hello' }, change)
    const fields = { host: `localhost:${alice.socket.remotePort}`, authorization: `Bearer ${token}`, ...signed.headers }
    const head = Object.entries({ ...fields, 'content-length': '5', expect: '100-continue' })
    const answered = exchange(
      alice,
      `POST /a/ HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
      { until: 1 },
    )
    if (sent !== undefined) {
      await wait(50)
      alice.socket.write(sent)
    }
    const { answers, received } = await answered
    t.equal(answers[0]?.status, status)
    t.equal(received.startsWith('HTTP/1.1 100 '), sent !== undefined)
  }
})

t.test('an upstream that answers before the body is complete has not got it', async t => {
  const upstream = await startRawUpstream(
    t,
    socket => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  )
  const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
  const { call } = await openClient(server, 'http/1.1')
  const { status } = await call('/a/', { ...posted, body: 'x'.repeat(500_000) }, { sent: 'y'.repeat(500_000) }).catch(
    () => ({ status: 0 }),
  )
  t.ok([0, 200, 401].includes(status), `${status}`)
  for (const octets of upstream.received) t.ok(octets.length < 500_000)
})

for (const last of ['hello', 'hellO'])
  t.test(`refuses another body also with trailers, and serves the connection on: ${last}`, async t => {
    const upstream = await startUpstream(t)
    const server = await startGateway(t, [{ path: '/a/', upstream: upstream.address, proof: 'signed-request' }])
    const { alice, token, sign } = await openClient(server, 'http/1.1')
    const host = `localhost:${alice.socket.remotePort}`
    const write = (method: string, fields: object = {}) => {
      const all = { host, authorization: `Bearer ${token}`, ...fields }
      return `${method} /a/ HTTP/1.1\r\n${Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`
    }
    const chunked = { 'transfer-encoding': 'chunked', trailer: 'x-sum' }
    const { headers } = sign('/a/', { ...posted, body: 'hello' })
    // In one piece, so that the body has failed before the upstream is connected.
    const octets = `${write('POST', { ...headers, ...chunked })}5\r\n${last}\r\n0\r\nx-sum: 1\r\n\r\n${write('GET', sign('/a/').headers)}`
    const { answers } = await exchange(alice, octets, { until: 2 })
    t.match(answers, [last === 'hello' ? { status: 200 } : refused, { status: 200 }])
    t.same(
      upstream.seen.map(({ body }) => body),
      last === 'hello' ? ['hello', ''] : [''],
    )
  })
