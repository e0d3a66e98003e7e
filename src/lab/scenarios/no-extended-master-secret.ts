// In TLS 1.2 without the extended master secret, a man in the middle can give two connections the same master secret
// and exporter (triple handshake attack). No channel binding is defined there.
import { proofExporterLabel } from '../../core/channel-binding.ts'
import { attempt, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'
import type { Played } from '../stage.ts'

export const scenario: Scenario = {
  id: 'no-extended-master-secret',
  sentence:
    'A token is requested, and another one is used, on a TLS 1.2 connection without the extended master secret.',
  stolen: 'the token',
  thief: 'a position between client and server; the lab uses the certificate and the private key of the client instead',
  control: 'the same with the extended master secret',
  expected: 'no token is issued or accepted there',
  demandedBy: ['RFC 7627 §5.4', 'RFC 9266 §4.2', 'level proof', 'level connection'],
  stoppedAt: ['proof', 'connection'],
  remedy: 'Require TLS 1.3, or with TLS 1.2 the extended master secret (RFC 7627), for connection-bound tokens',
  async run(stage) {
    if (stage.options.tls !== 'TLSv1.2') throw new NotTried('in TLS 1.3 every master secret is unique')
    const { connection, token } = await stage.victim()
    const controls = [await attempt('with the extended master secret', () => stage.use(connection, token))]
    const { resource, tokenEndpoint } = stage.options.profile
    const connectTo = (to: URL) => stage.connectTo(to, stage.cast.alice, { secureOptions: noExtendedMasterSecret })
    const thefts = [
      await attempt('a token requested without it', async () => stage.requestToken(await connectTo(tokenEndpoint))),
      await attempt('a token of another connection, used without it', async () => {
        const bare = await connectTo(resource)
        return stage.use(bare, token, stage.level === 'proof' ? { proof: prove(bare, token) } : {})
      }),
    ]
    return { controls, thefts }
  },
}

/** SSL_OP_NO_EXTENDED_MASTER_SECRET, for which Node has no name. */
const noExtendedMasterSecret = 1

/** Builds a proof with the keying material that OpenSSL exports all the same. */
function prove({ socket, prove }: Played, token: string): string {
  const ekm = socket.exportKeyingMaterial(32, proofExporterLabel, Buffer.alloc(0))
  return prove(token, { ekm: ekm.toString('base64url') })
}
