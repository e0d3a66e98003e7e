// A renewed certificate has another thumbprint, even for the same key, so the token is bound to another certificate.
import { attempt, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'renewed-certificate',
  sentence: 'A token is used with a renewed certificate, of the same subject and for the same private key.',
  stolen: 'the token',
  thief: 'the private key of its client, and a later certificate for it',
  control: 'the token with the certificate that it was issued to',
  expected: 'refused: after a renewal the client requests new tokens',
  demandedBy: ['RFC 8705 §3.1', 'RFC 8705 §6.3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare the hash of the whole certificate, not its subject or its public key',
  async run(stage) {
    const { alice, issue } = stage.cast
    if (issue === undefined) throw new NotTried('the key of the authority is not available to issue a certificate')
    const { connection, token } = await stage.victim()
    const controls = [await attempt('with its own certificate', () => stage.use(connection, token))]
    const renewed = issue({ like: alice, sameKey: true })
    const thefts = [
      await attempt('with a renewed certificate', async () => stage.use(await stage.connect(renewed), token)),
    ]
    return { controls, thefts }
  },
}
