// Responses that Node's servers never send: head and body in one TLS record (RFC 9113 §4.1, §8.1).
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import t from 'tap'
import { openHttp2 } from '../../../src/client/connection/http2.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'

const [data, headers, settings] = [0, 1, 4]
const [endStream, endHeaders, ack] = [1, 4, 1]
const status200 = Buffer.from([0x88]) // RFC 7541 App. A, entry 8
const preface = 24
/** Responses that arrive in one piece. */
const together = 20

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Calls `onRequest` with the stream of each HEADERS frame that arrives. */
function readFrames(socket: TLSSocket, onRequest: (stream: number) => void): void {
  let unread = Buffer.alloc(0)
  let at = preface
  socket
    .on('error', () => {})
    .on('data', chunk => {
      unread = Buffer.concat([unread, chunk])
      while (unread.length >= at + 9 && unread.length >= at + 9 + unread.readUIntBE(at, 3)) {
        if (unread.readUInt8(at + 3) === headers) onRequest(unread.readUInt32BE(at + 5))
        at += 9 + unread.readUIntBE(at, 3)
      }
    })
}

t.test('reads head and body that arrive in one piece', async t => {
  const { server: identity, ca } = makeDemoPki()
  const tls = { cert: identity.certificate, key: identity.key, ALPNProtocols: ['h2'] }
  const server = createServer(tls, socket => {
    socket.write(Buffer.concat([frame(settings, 0, 0), frame(settings, ack, 0)]))
    const answers: Buffer[] = []
    readFrames(socket, stream => {
      answers.push(
        frame(headers, endHeaders, stream, status200),
        frame(data, endStream, stream, Buffer.from('one piece')),
      )
      if (answers.length === 2 * together) socket.write(Buffer.concat(answers.splice(0)))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, servername: 'localhost', ca: ca.certificate, ALPNProtocols: ['h2'] })
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const { dispatcher } = await openHttp2(`https://localhost:${port}`, socket)
  for (let round = 0; round < 5; round++) {
    const ask = () => dispatcher.request({ path: '/', method: 'GET' }).then(({ body }) => body.text())
    const answers = await Promise.all(Array.from({ length: together }, ask))
    t.same(answers, Array(together).fill('one piece'))
  }
})
