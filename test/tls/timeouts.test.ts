// When connections end, and what is left of them then: nothing. Node's own timer for a silent HTTP/2 session is not cleared when the session
// is destroyed, so that each one stayed in memory until it ran out.
import { once } from 'node:events'
import { connect as connectHttp2, type Http2ServerRequest, type ServerHttp2Session } from 'node:http2'
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls'
import { queryObjects } from 'node:v8'
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { until } from '../helpers/until.ts'

const timeouts = { idle: 3600, request: 3600 }
const server = await startTestServer({ tls: { timeouts } })
t.teardown(() => server.close())
const { ca, alice } = server.pki
const countLive = (type: unknown) => queryObjects(type as () => void, { format: 'count' })

type End = (own: ServerHttp2Session, close: () => void) => void
const ends: Record<string, End> = {
  'the client closes': (_own, close) => close(),
  'the server closes': own => own.close(),
  'the server destroys': own => own.destroy(),
  'the server destroys the socket': own => own.socket.destroy(),
}
let Session: unknown
server.app.server.on('session', session => {
  Session = session.constructor
})

/** Opens an HTTP/2 connection for one request, and ends it. */
async function useOnce(end: End): Promise<void> {
  const own = new Promise<ServerHttp2Session>(resolve => server.app.server.once('session', resolve))
  const session = connectHttp2(server.origin, { ca: ca.certificate, cert: alice.certificate, key: alice.key })
  session.on('error', () => {})
  const stream = session
    .request({ ':path': '/health' })
    .on('error', () => {})
    .resume()
  await once(stream, 'response')
  const closed = once(session, 'close')
  end(await own, () => session.close())
  session.close()
  await closed
}

t.test('keeps nothing of an HTTP/2 connection that ended', async t => {
  for (const [name, end] of Object.entries(ends)) {
    for (let number = 0; number < 5; number++) await useOnce(end)
    t.ok(Session, 'control: there were some')
    await until(() => countLive(Session) === 0)
    t.pass(name)
  }
})

async function useOnceOverHttp1(): Promise<void> {
  const connection = await server.connect('alice')
  await connection.get('/health')
  connection.close()
}

t.test('keeps nothing of an HTTP/1.1 connection that ended', async () => {
  for (let number = 0; number < 5; number++) await useOnceOverHttp1()
  await until(() => countLive(TLSSocket) === 0)
})

t.test('closes silent HTTP/2 connections of peers that do not close their end', async t => {
  const short = await startTestServer({ tls: { timeouts: { idle: 1, request: 1, headers: 1 } } })
  t.teardown(() => short.close())
  const open = () => {
    const socket = connect({
      port: short.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: short.pki.ca.certificate,
      ALPNProtocols: ['h2'],
      allowHalfOpen: true,
    } as ConnectionOptions)
    socket
      .on('error', () => {})
      .on('secureConnect', () =>
        socket.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')),
      )
    return socket.resume()
  }
  const sockets = [open(), open()]
  t.teardown(() => sockets.map(socket => socket.destroy()))
  await until(() => short.tls.connections.size === 2)
  await until(() => short.tls.connections.size === 0)
  t.ok(
    sockets.every(socket => !socket.destroyed),
    'control: the clients did not close them',
  )
})

t.test('lets requests finish when an app sets a timeout for its session', async t => {
  const patient = await startTestServer({
    tls: { timeouts },
    routes: app =>
      void app.get('/patient', async request => {
        const { stream } = request.raw as unknown as Http2ServerRequest
        stream.session?.setTimeout(100)
        await new Promise(resolve => setTimeout(resolve, 400))
        return 'at last'
      }),
  })
  t.teardown(() => patient.close())
  const session = connectHttp2(patient.origin, {
    ca: patient.pki.ca.certificate,
    cert: patient.pki.alice.certificate,
    key: patient.pki.alice.key,
  })
  const alice = await patient.connect('alice')
  const authorization = `Bearer ${await alice.token({ token_binding: 'certificate' })}`
  const stream = session.request({ ':path': '/patient', authorization }).resume()
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 200)
  await once(session, 'close')
})
