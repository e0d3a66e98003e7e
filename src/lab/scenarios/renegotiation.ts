// After a second handshake a TLS 1.2 connection has another exporter: the binding of its tokens is gone, although the
// connection is still open. RFC 9266 forbids tls-exporter bindings where that can happen.
import type { TLSSocket } from 'node:tls'
import { attempt, NotTried } from '../attempt.ts'
import { answerTimeout } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import { steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'renegotiation',
  sentence:
    'A TLS 1.2 connection is renegotiated, and the earlier token is used on it, at level proof with the old proof.',
  stolen: 'the token',
  thief: 'the connection itself, the certificate and its private key',
  control: 'the token before the renegotiation',
  expected: 'no renegotiation, or the token refused after it',
  demandedBy: ['RFC 9266 §4.2', 'level proof', 'level connection'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Disable renegotiation, or read the channel binding again after it',
  async run(stage) {
    const { tls, http } = stage.options
    if (tls !== 'TLSv1.2') throw new NotTried('TLS 1.3 has no renegotiation')
    if (http === 'h2') throw new NotTried('HTTP/2 forbids renegotiation (RFC 9113 §9.2.1), so the lab does not try it')
    const client = await stage.victim(stage.cast.alice, { secureOptions: 0 }) // otherwise OpenSSL refuses
    const { connection, token } = client
    const controls = [await attempt('before the renegotiation', () => stage.use(connection, token))]
    const loot = steal(stage, client)
    const thefts = [
      await attempt('on the renegotiated connection', async () => {
        await renegotiate(connection.socket)
        return connection.call(stage.resourcePath, loot)
      }),
    ]
    return { controls, thefts }
  },
}

/** Rejects when the server refuses. */
function renegotiate(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: Error | null) => {
      clearTimeout(timer)
      error === null ? resolve() : reject(error)
    }
    const timer = setTimeout(() => end(new Error('no response in time')), answerTimeout)
    const ended = new Error('the connection ended')
    socket.once('error', end).once('close', () => end(ended))
    if (socket.destroyed) end(ended)
    else socket.renegotiate({}, end)
  })
}
