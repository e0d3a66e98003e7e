// A man in the middle: the client connects to a relay instead of the server. The relay terminates TLS and forwards everything
// over its own connection.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { createServer } from 'node:tls'
import { attempt } from '../attempt.ts'
import type { Identity } from '../cast.ts'
import type { Scenario } from '../scenario.ts'
import type { Played, Stage } from '../stage.ts'
import { requireOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'relay',
  sentence: 'A client is lured to a relay, which forwards its requests over its own TLS connection.',
  stolen: 'requests of the client, with token and proof',
  thief: 'their own certificate; at level proof and connection also that of the client with its private key',
  control: 'the token on the direct connection of its client',
  expected: 'a token bound to one side of the relay is refused on the other',
  demandedBy: ['RFC 8705 §3', 'RFC 5056 §2', 'level proof', 'level connection'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy:
    'Compare the cnf of the token with the certificate and the binding of the connection in every request; never use a binding that a client sends',
  async run(stage) {
    const other = requireOther(stage)
    const { connection, token } = await stage.victim()
    const controls = [await attempt('on a direct connection', () => stage.use(connection, token))]
    const { resource, tokenEndpoint } = stage.options.profile
    const use = async (relay: Identity) => stage.use(await lure(stage, relay, resource), token)
    const thefts = [
      await attempt('through a relay', () => use(other)),
      await attempt('requested through a relay', async () =>
        stage.requestToken(await lure(stage, other, tokenEndpoint)),
      ),
    ]
    if (stage.level !== 'certificate')
      thefts.push(await attempt("through a relay with the client's certificate", () => use(stage.cast.alice)))
    return { controls, thefts }
  },
}

/** Connects alice to a relay instead of the server. The relay authenticates to the server as `relay`. */
async function lure(stage: Stage, relay: Identity, to: URL): Promise<Played> {
  const onward = (await stage.connectTo(to, relay)).socket
  const { certificate: cert, key } = relay
  const server = createServer({ cert, key, ALPNProtocols: [stage.options.http] }, leg => {
    stage.keep({ close: () => leg.destroy() })
    pipeline(leg, onward, leg, () => {})
  })
  stage.keep(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { address: host, port } = server.address() as AddressInfo
  // Assumes that the relay has a certificate that its victim trusts.
  return stage.connectTo(to, stage.cast.alice, { host, port, rejectUnauthorized: false })
}
