// Resumption and renegotiation: what a connection carries that proves no key.
import { constants } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { alice, atMost, type Fact, type Listening, pki, withServer } from './fact.ts'

const { SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET } = constants
type Version = 'TLSv1.2' | 'TLSv1.3'

/** Resumes the session of a first connection; `client` is what the first one presents. Describes the second. */
function resume(
  maxVersion: Version,
  client: object,
  serverOptions: object,
  before: (server: Listening['server']) => void = () => {},
): Promise<string> {
  return withServer(serverOptions, async ({ server, connect }) => {
    before(server)
    const first = await connect({ maxVersion, ...client })
    await pause(50) // a ticket may follow the first octet
    const session = first.session() ?? first.client.getSession()
    const { server: second } = await connect({ maxVersion, ...(session && { session }) })
    if (!second.isSessionReused()) return 'no resumption'
    const value = (socket: typeof second) =>
      socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('hex')
    const exporter = value(second) === value(first.server) ? 'the same exporter' : 'another exporter'
    return `resumed, authorized: ${second.authorized}, ${exporter}`
  })
}

/** Runs a measurement on both versions of TLS. */
const onBoth = async (run: (version: Version) => Promise<string>): Promise<string> => {
  const found = [await run('TLSv1.3'), await run('TLSv1.2')]
  return found[0] === found[1] ? (found[0] as string) : found.join(' on TLS 1.3; on TLS 1.2 ')
}

const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }

/** The options of tlsbound. */
const closedOptions = { secureOptions: SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET }

export const resumptions: readonly Fact[] = [
  {
    about: 'a connection resumed without a certificate, from one of alice',
    expected: 'resumed, authorized: true, another exporter',
    isNeeded: false,
    measure: () => onBoth(version => resume(version, alice, {})),
  },
  {
    about: 'a connection resumed from one without a certificate (nodejs/node issue 35317)',
    expected: 'resumed, authorized: false, another exporter',
    isNeeded: true,
    measure: () => resume('TLSv1.3', {}, {}),
  },
  {
    about: 'resumption with SSL_OP_NO_TICKET',
    expected: 'no resumption',
    isNeeded: true,
    measure: () => onBoth(version => resume(version, alice, closedOptions)),
  },
  {
    about: 'resumption after setSecureContext with SSL_OP_NO_TICKET again',
    expected: 'no resumption',
    isNeeded: true,
    measure: () =>
      onBoth(version =>
        resume(version, alice, closedOptions, server => server.setSecureContext({ ...material, ...closedOptions })),
      ),
  },
  {
    about: 'resumption after setSecureContext without it',
    expected: 'resumed, authorized: true, another exporter',
    isNeeded: false,
    measure: () => resume('TLSv1.3', alice, closedOptions, server => server.setSecureContext(material)),
  },
  {
    about: 'renegotiation by a client with SSL_OP_NO_RENEGOTIATION at the server',
    expected: 'fails',
    isNeeded: true,
    measure: () => renegotiate(closedOptions),
  },
  {
    about: 'renegotiation by a client without it',
    expected: 'succeeds',
    isNeeded: false,
    measure: () => renegotiate({}),
  },
]

function renegotiate(serverOptions: object): Promise<string> {
  return withServer(serverOptions, async ({ connect }) => {
    const { client } = await connect({ maxVersion: 'TLSv1.2' })
    const renegotiated = new Promise<string>(resolve => {
      client.once('error', () => resolve('fails'))
      client.once('close', () => resolve('fails'))
      client.renegotiate({}, error => resolve(error === null ? 'succeeds' : 'fails'))
    })
    return atMost(3000, renegotiated).catch(() => 'fails')
  })
}
