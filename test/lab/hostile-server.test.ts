// Hostile servers: one that is silent, endlessly slow or sends malformed data delays the lab by a few seconds only.
import { createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { NotTried } from '../../src/lab/attempt.ts'
import { endpointOf, openConnection } from '../../src/lab/connection.ts'
import { readToken } from '../../src/lab/forge.ts'
import { pipeline } from '../../src/lab/pipeline.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'

const { server: identity, ca } = makeDemoPki()

/** Starts a server of raw bytes, over TLS or without, and returns its address. */
async function serve(t: Test, onSocket: (socket: Socket) => void, protocol?: 'h2' | 'http/1.1') {
  const tls = protocol && { cert: identity.certificate, key: identity.key, ALPNProtocols: [protocol] }
  const server = tls === undefined ? createServer(onSocket) : createTlsServer(tls, onSocket)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return {
    ...endpointOf(new URL(`https://localhost:${port}`)),
    ca: ca.certificate,
    ALPNProtocols: protocol && [protocol],
  }
}

/** Sends `octets` ten times a second without end. */
const drip = (octets: Buffer) => (socket: Socket) => {
  const timer = setInterval(() => socket.write(octets), 100)
  socket.on('error', () => {}).once('close', () => clearInterval(timer))
}

t.test('times out on a server that never completes a response', async t => {
  const head = (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
  const settings = Buffer.from('000000040000000000', 'hex')
  const ping = Buffer.from('0000080600000000000000000000000000', 'hex')
  await Promise.all([
    t.rejects(openConnection(await serve(t, () => {})), /no TLS handshake within/, 'during the handshake'),
    ...[
      await serve(t, socket => socket.on('error', () => {}), 'http/1.1'),
      await serve(
        t,
        socket => {
          head(socket)
          drip(Buffer.from('x'))(socket)
        },
        'http/1.1',
      ),
      await serve(
        t,
        socket => {
          socket.write(settings)
          drip(ping)(socket)
        },
        'h2',
      ),
    ].map(async where => {
      const connection = await openConnection(where)
      await t.rejects(connection.call('/'))
      connection.close()
    }),
  ])
})

t.test('rejects an invalid content length', async t => {
  for (const length of ['-1000', 'abc', '1e3', '0x5', '5, 5', '']) {
    const server = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        this.push(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n12345`)
        done()
      },
    })
    await t.rejects(pipeline(server, 'localhost')('/'), /not HTTP/, JSON.stringify(length))
  }
})

t.test('an answer and a token that are nested without end are not read as JSON', async t => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const answer = (body: string) => (socket: Socket) =>
    void socket.on('error', () => {}).write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  for (const [depth, isRead] of [
    [100, true],
    [101, false],
    [100_000, false],
  ] as const) {
    const text = nested(depth)
    const connection = await openConnection(await serve(t, answer(text), 'http/1.1'))
    const { body, ...whole } = await connection.call('/')
    t.match({ ...whole, isRead: body !== undefined }, { status: 200, text, isRead }, `an answer, ${depth}`)
    connection.close()
    const claims = Buffer.from(`{"a":${nested(depth - 1)}}`).toString('base64url')
    const read = () => readToken(`e30.${claims}.AA`)
    if (isRead) t.match(read(), { signature: 'AA' }, 'control')
    else t.throws(read, NotTried, `a token, ${depth}`)
  }
})
