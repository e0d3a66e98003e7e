// Channel bindings: the exporter and the Finished messages.
import { hasExtendedMasterSecret } from '../../src/core/channel-binding.ts'
import { type Ends, type Fact, withServer } from './fact.ts'

const label = 'EXPORTER-Channel-Binding'
const [old, empty] = [{ maxVersion: 'TLSv1.2' } as const, Buffer.alloc(0)]
const withoutExtendedMasterSecret = { ...old, secureOptions: 1 } // SSL_OP_NO_EXTENDED_MASTER_SECRET

const exported = ({ server, client }: Ends) => {
  const [ours, theirs] = [server, client].map(socket => socket.exportKeyingMaterial(32, label, empty))
  if (ours?.equals(theirs as Buffer) !== true) return 'differs between the ends'
  const isSame = server.exportKeyingMaterial(32, label, undefined as unknown as Buffer).equals(ours)
  return `the same at both ends, 32 octets; ${isSame ? 'the same' : 'another value'} without a context`
}

/** Which end has sent the first Finished, and its length. */
function describeFinished({ server, client }: Ends): string {
  const [sent, received] = [server.getFinished(), server.getPeerFinished()]
  if (sent === undefined || received === undefined) return 'none'
  const agrees = client.getFinished()?.equals(received) === true && client.getPeerFinished()?.equals(sent) === true
  return agrees ? `${received.length} octets, the same at both ends` : 'differs between the ends'
}

const on = (options: object, describe: (ends: Ends) => string) => () =>
  withServer({}, async ({ connect }) => describe(await connect(options)))

export const bindings: readonly Fact[] = [
  {
    about: 'tls-exporter on TLS 1.3',
    expected: 'the same at both ends, 32 octets; the same without a context',
    isNeeded: true,
    measure: on({}, exported),
  },
  {
    about: 'tls-exporter on TLS 1.2',
    expected: 'the same at both ends, 32 octets; another value without a context',
    isNeeded: true,
    measure: on(old, exported),
  },
  {
    about: 'the Finished messages on TLS 1.2',
    expected: '12 octets, the same at both ends',
    isNeeded: true,
    measure: on(old, describeFinished),
  },
  {
    about: 'the Finished messages on TLS 1.3, where tls-unique is not defined',
    expected: '48 octets, the same at both ends',
    isNeeded: false,
    measure: on({}, describeFinished),
  },
  {
    about: 'the extended master secret, in the session at the server',
    expected: 'present by default, absent when the client does without',
    isNeeded: true,
    measure: () =>
      withServer({}, async ({ connect }) => {
        const usual = hasExtendedMasterSecret((await connect(old)).server)
        const without = hasExtendedMasterSecret((await connect(withoutExtendedMasterSecret)).server)
        const name = (isPresent: boolean) => (isPresent ? 'present' : 'absent')
        return `${name(usual)} by default, ${name(without)} when the client does without`
      }),
  },
  {
    about: 'the exporter without the extended master secret',
    expected: 'exports a value all the same',
    isNeeded: false,
    measure: on(withoutExtendedMasterSecret, ({ server }) => {
      try {
        return server.exportKeyingMaterial(32, label, empty).length === 32 ? 'exports a value all the same' : 'none'
      } catch (error) {
        return `throws ${(error as Error).name}`
      }
    }),
  },
  {
    about: 'the exporter of a closed connection',
    expected: 'throws TypeError',
    isNeeded: true,
    measure: on({}, ({ server }) => {
      server.destroy()
      try {
        return `returns ${server.exportKeyingMaterial(32, label, empty).length} octets`
      } catch (error) {
        return `throws ${(error as Error).name}`
      }
    }),
  },
  {
    about: 'the first octets of a session at a client',
    expected: 'a marker of Node, then the server name',
    isNeeded: false,
    measure: on({}, ({ client }) =>
      client.getSession()?.toString('latin1').startsWith('\0nodejs:tls:session:1\0') === true
        ? 'a marker of Node, then the server name'
        : 'the session itself',
    ),
  },
]
