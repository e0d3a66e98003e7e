// A TLS 1.2 connection can go through a second handshake, after which its exporter is another: what a token was bound to is
// gone, although the connection is still there. RFC 9266 allows no tls-exporter binding where that can happen.
import type { TLSSocket } from 'node:tls'
import { attempt, NotTried } from '../attempt.ts'
import { patience } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import { steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'renegotiation',
  sentence:
    'A TLS 1.2 connection is renegotiated, and the token of before used on it, at level proof with the old proof.',
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
    if (http === 'h2') throw new NotTried('HTTP/2 forbids renegotiation (RFC 9113 §9.2.1), and the lab keeps to that')
    const client = await stage.victim(stage.cast.alice, { secureOptions: 0 }) // else OpenSSL would take no part
    const { connection, token } = client
    const controls = [await attempt('before it', () => stage.use(connection, token))]
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

/** Rejects when the server does not take part. */
function renegotiate(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: Error | null) => {
      clearTimeout(timer)
      error === null ? resolve() : reject(error)
    }
    const timer = setTimeout(() => end(new Error('no answer in time')), patience)
    const ended = new Error('the connection ended')
    socket.once('error', end).once('close', () => end(ended))
    if (socket.destroyed) end(ended)
    else socket.renegotiate({}, end)
  })
}
