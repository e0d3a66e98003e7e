// The client disconnects, and a thief connects from the same address and port. A server that identifies connections by their
// endpoints cannot distinguish them.
import { once } from 'node:events'
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { attempt, NotTried } from '../attempt.ts'
import { endpointOf } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'
import { openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'same-port',
  sentence:
    'After the client of a token has disconnected, the token is used on a connection from the same address and port.',
  stolen: 'the token, at level proof also a proof',
  thief: 'their own certificate; at level proof and connection the certificate and the private key of its client',
  control: 'the token before its client disconnects',
  expected: 'refused: an address does not identify a connection',
  demandedBy: ['RFC 8705 §3', 'level proof', 'level connection'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Identify a connection by its channel binding, never by address and port',
  async run(stage) {
    // Another process may use the port; then the lab tries another port, repeatedly if ports are scarce.
    for (let left = 9; ; left--)
      try {
        return await play(stage)
      } catch (error) {
        if (!(error instanceof NotTried) || left === 0) throw error
      }
  },
}

async function play(stage: Stage): ReturnType<Scenario['run']> {
  const first = await connectTcp(stage, endpointOf(stage.options.profile.resource))
  const connection = await stage.connect(stage.cast.alice, { socket: first })
  const client = { connection, token: await stage.tokenFor(connection) }
  const controls = [await attempt('before its client disconnected', () => stage.use(connection, client.token))]
  const loot = steal(stage, client)
  const ends = endsOf(first)
  first.resetAndDestroy() // after a regular close the port stays occupied for a minute
  await once(first, 'close')
  const second = await connectTcp(stage, ends).catch(({ message }) => {
    throw new NotTried(`the port could not be used again: ${message}`)
  })
  const thefts = [
    await attempt('from the same address and port', async () => {
      const thief = await openThief(stage, { socket: second })
      return thief.connection.call(stage.resourcePath, loot)
    }),
  ]
  return { controls, thefts }
}

/** The endpoints that identify a socket, as options of `connect`. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): object {
  return { host: remoteAddress, port: remotePort, localAddress, localPort }
}

async function connectTcp(stage: Stage, options: object): Promise<Socket> {
  const socket = connect(options as TcpNetConnectOpts)
  stage.keep({ close: () => socket.destroy() })
  await once(socket, 'connect')
  return socket.on('error', () => {}) // reported by the TLS socket
}
