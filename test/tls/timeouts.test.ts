// What is left of a connection when it has ended: nothing. Node's own timer for a silent HTTP/2 session is not cleared when the session
// is destroyed, so that each one stayed in memory until it ran out.
import { once } from 'node:events'
import { connect as connectHttp2, type ServerHttp2Session } from 'node:http2'
import { TLSSocket } from 'node:tls'
import { queryObjects } from 'node:v8'
import t from 'tap'
import { startTestServer } from '../../src/testing/server.ts'
import { until } from '../helpers/until.ts'

const timeouts = { idle: 3600, request: 3600, linger: 1 }
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
