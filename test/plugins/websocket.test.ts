// WebSockets with ws: the upgrade request is verified, and the connection then obeys revocation and reload, and no timeout of
// HTTP. N-24; CL13.
import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { createServer } from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { createVerifier, type MutualTls, mutualTls, type TokenDemand } from 'tlsbound'
import { issueCertificate, issueCrl } from 'tlsbound/testing'
import { WebSocket, WebSocketServer } from 'ws'
import { accepted, listen, material, pki, reading, safeTls, writing } from '../helpers/server/bound-api.ts'

/** Answers each message with the subject of the token and the message. Returns the server's end of each connection. */
function acceptWebSockets(server: Server, demand?: TokenDemand): WebSocket[] {
  const verifier = createVerifier({ ...accepted, onWarning: warning => t.fail(warning) })
  const sockets = new WebSocketServer({ noServer: true })
  const opened: WebSocket[] = []
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    verifier.verify(request, demand).then(
      ({ claims }) =>
        sockets.handleUpgrade(request, socket, head, peer => {
          opened.push(peer)
          peer.on('message', message => peer.send(`${claims.sub}: ${message}`))
        }),
      error => verifier.sendRefusal(socket, error),
    )
  })
  return opened
}

type Who = 'alice' | 'bob' | 'stranger'
const identity = (who: Who) => ({
  ...{ cert: pki[who].certificate, key: pki[who].key, ca: pki.ca.certificate },
  ...{ host: '127.0.0.1', servername: 'localhost' },
})

function open(t: Test, port: number, token?: string, who: Who = 'alice'): WebSocket {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const socket = new WebSocket(`wss://localhost:${port}/`, { ...identity(who), headers })
  socket.on('error', () => {})
  t.teardown(() => socket.terminate())
  return socket
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text)
  const [answer] = (await once(socket, 'message')) as [Buffer]
  return answer.toString()
}

/** The answer to an upgrade request that is refused. */
async function refusal(socket: WebSocket): Promise<object> {
  const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(Buffer.concat(chunks).toString()) }
}

const listeners: Readonly<Record<string, () => Server>> = {
  mutualTls: () => mutualTls(material)((_request, response) => void response.end('plain')),
  https: () => createServer(safeTls, (_request, response) => void response.end('plain')),
}
for (const [name, start] of Object.entries(listeners))
  t.test(`on ${name}, an upgrade request needs a token of its certificate`, async t => {
    const server = start()
    acceptWebSockets(server)
    const port = await listen(t, server)
    const socket = open(t, port, reading)
    await once(socket, 'open')
    t.equal(await echo(socket, 'one'), 'alice: one')
    t.match(await refusal(open(t, port, reading, 'bob')), {
      status: 401,
      headers: { 'www-authenticate': /^Bearer error="invalid_token"/, connection: 'close' },
      body: { reason: 'certificate_mismatch' },
    })
    t.match(await refusal(open(t, port)), {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="tlsbound"' },
      body: { reason: 'no_token' },
    })
    t.equal(await echo(socket, 'two'), 'alice: two', 'and no other connection is touched')

    const strict = start()
    acceptWebSockets(strict, { scope: 'notes:write' })
    const strictPort = await listen(t, strict)
    t.match(await refusal(open(t, strictPort, reading)), { status: 403, body: { reason: 'scope_missing' } })
    const allowed = open(t, strictPort, writing)
    await once(allowed, 'open')
    t.equal(await echo(allowed, 'control'), 'alice: control')
  })

t.test('a certificate that is not trusted is refused, and its connection ends', async t => {
  const server = mutualTls(material)(() => {})
  acceptWebSockets(server)
  const port = await listen(t, server)
  t.match(await refusal(open(t, port, reading, 'stranger')), { status: 401, body: { reason: 'certificate_untrusted' } })
})

type Timeouts = NonNullable<Parameters<typeof mutualTls>[0]['timeouts']>

async function startListener(t: Test, timeouts: Timeouts, maximumAge = 3600) {
  const tls = mutualTls({ ...material, timeouts, maximumAge })
  const server = tls((_request, response) => void response.end('plain'))
  const peers = acceptWebSockets(server)
  return { tls, server, peers, port: await listen(t, server) }
}

/** Frames of a WebSocket on a connection that served a request before. */
async function upgradeKeptConnection(t: Test, port: number) {
  const socket = connectTls({ ...identity('alice'), port, ALPNProtocols: ['http/1.1'] })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 200 /)
  const key = 'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  const upgrade = `connection: upgrade\r\nupgrade: websocket\r\n${key}authorization: Bearer ${reading}\r\n`
  socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\n${upgrade}\r\n`)
  t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 101 /)
  return socket
}

t.test('no timeout of HTTP ends a WebSocket that is idle', async t => {
  const { port } = await startListener(t, { handshake: 0.5, headers: 0.3, request: 0.4, idle: 0.4 }, 1)
  const socket = open(t, port, reading)
  await once(socket, 'open')
  const kept = await upgradeKeptConnection(t, port)
  const idle = connectTls({ ...identity('alice'), port, ALPNProtocols: ['http/1.1'] })
  await once(idle, 'secureConnect')
  const ended = once(idle.resume(), 'close')
  await wait(5500) // Node checks requests every two seconds
  await ended.then(() => t.pass('control: a connection without a request has ended'))
  t.equal(await echo(socket, 'still'), 'alice: still')
  t.equal(kept.destroyed, false)
  t.equal(kept.readableEnded, false)
})

t.test('a new certificate of the server leaves a WebSocket open', async t => {
  const { tls, port } = await startListener(t, { retirement: 0, retirementGrace: 0 })
  const socket = open(t, port, reading)
  await once(socket, 'open')
  t.same(tls.reload(material), { revoked: 0, retired: 0 })
  await wait(300)
  t.equal(await echo(socket, 'still'), 'alice: still')
})

const successor = issueCertificate({ ca: true, subject: [['CN', 'another authority']] })
const reloads: Readonly<Record<string, (tls: MutualTls) => unknown>> = {
  'a revocation list that names the certificate': tls =>
    tls.reload({ ...material, crl: issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] }) }),
  'a change of the authorities': tls =>
    tls.reload({ ...material, ca: `${pki.ca.certificate}${successor.certificate}` }),
}
for (const [name, reload] of Object.entries(reloads)) {
  t.test(`${name} ends a WebSocket`, async t => {
    const { tls, port } = await startListener(t, { retirement: 0.1, retirementGrace: 0.1, revoked: 0.1 })
    const socket = open(t, port, reading)
    await once(socket, 'open')
    const kept = await upgradeKeptConnection(t, port)
    const bob = open(t, port, undefined, 'bob')
    await refusal(bob)
    reload(tls)
    const began = performance.now()
    await Promise.all([once(socket, 'close'), once(kept, 'close')])
    t.ok(performance.now() - began < 5000, 'in time')
  })

  t.test(`${name} ends a WebSocket whose client takes nothing`, async t => {
    const { tls, port, peers } = await startListener(t, {
      retirement: 0.1,
      retirementGrace: 0.1,
      revoked: 0.1,
      linger: 0.2,
    })
    const kept = await upgradeKeptConnection(t, port)
    kept.pause()
    const [peer] = peers as [WebSocket]
    for (let count = 0; count < 32; count++) peer.send(Buffer.alloc(1 << 20))
    await wait(300)
    t.ok(peer.bufferedAmount > 0, 'the client takes nothing')
    const ended = once(peer, 'close')
    reload(tls)
    const within = await Promise.race([ended.then(() => true), wait(5000, false)])
    t.ok(within, 'the connection has ended')
    t.equal(tls.connections.size, 0)
  })
}
