// The client goes, and a thief comes from the same address and port. To whoever knows connections by their ends it looks
// like the one that was there.
import { once } from 'node:events'
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import { attempt, NotTried } from '../attempt.ts'
import { endpointOf } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../stage.ts'
import { openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'same-port',
  sentence: 'When the client of a token has left, it is used on a connection from the same address and port.',
  stolen: 'the token, at level proof a proof as well',
  thief: 'a certificate of their own; at level proof and connection the certificate and the private key of its client',
  control: 'the token before its client leaves',
  expected: 'refused: a connection is not its address',
  demandedBy: ['RFC 8705 §3', 'level proof', 'level connection'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Identify a connection by its channel binding, never by address and port',
  async run(stage) {
    // Somebody else may have the port, to speak to whomever; then it is tried with another one. Often, where ports are scarce.
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
  const controls = [await attempt('before its client left', () => stage.use(connection, client.token))]
  const loot = steal(stage, client)
  const ends = endsOf(first)
  first.resetAndDestroy() // a port that was left in the usual way would not be free for a minute
  await once(first, 'close')
  const second = await connectTcp(stage, ends).catch(({ message }) => {
    throw new NotTried(`the port was not to be had again: ${message}`)
  })
  const thefts = [
    await attempt('from the same address and port', async () => {
      const thief = await openThief(stage, { socket: second })
      return thief.connection.call(stage.resourcePath, loot)
    }),
  ]
  return { controls, thefts }
}

/** What a socket takes to be told apart from all others, as `connect` takes it. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): object {
  return { host: remoteAddress, port: remotePort, localAddress, localPort }
}

async function connectTcp(stage: Stage, options: object): Promise<Socket> {
  const socket = connect(options as TcpNetConnectOpts)
  stage.keep({ close: () => socket.destroy() })
  await once(socket, 'connect')
  return socket.on('error', () => {}) // TLS tells of them
}
