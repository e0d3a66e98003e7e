// Both ends of TLS connections in one process without HTTP: the client's, and the server's facts about it. For tests of
// request checks, which get it directly and cost no more than the check.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { type DemoPki, makeDemoPki } from '../../../src/pki/demo.ts'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { type Connection, rememberConnection } from '../../../src/tls/connection.ts'
import { createCounts } from '../../../src/tls/counts.ts'
import type { TrustInForce } from '../../../src/tls/evaluate-certificate.ts'
import { buildTlsOptions, parseMaterial } from '../../../src/tls/options.ts'
import { loadTrust } from '../../../src/tls/trust.ts'

export interface Ends {
  readonly client: TestConnection
  /** As `connectionOf` would return it. */
  readonly connection: Connection
}

/** Listens. Clients sign their proofs at the time `now`, in seconds since 1970. */
export async function listenForEnds(t: { teardown(end: () => void): void }, now: () => number) {
  const pki = makeDemoPki()
  const ca = pki.ca.certificate
  const material = parseMaterial({ cert: pki.server.certificate, key: pki.server.key, ca })
  const trusted: TrustInForce = { trust: loadTrust(material.authorities, material.lists), isPinned: () => false }
  const counts = createCounts()
  const server = createServer(buildTlsOptions(material, 'TLSv1.3'))
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo

  const connect = async (who: keyof DemoPki | null = 'alice'): Promise<Ends> => {
    const identity = who && { cert: pki[who].certificate, key: pki[who].key }
    const arrived = once(server, 'secureConnection') as Promise<[TLSSocket]>
    const options = { host: '127.0.0.1', port, servername: 'localhost', ca, ...identity }
    const client = await openConnection(options, 'alice', now)
    t.teardown(() => client.close())
    const [socket] = await arrived
    return { client, connection: rememberConnection(socket, trusted, counts) }
  }
  return { pki, trusted, connect }
}
