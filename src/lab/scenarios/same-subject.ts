// A second certificate with the same subject, issued by the same authority.
import { attempt, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'same-subject',
  sentence: 'A token is used with another certificate of the same subject, for another private key.',
  stolen: 'the token',
  thief: 'a certificate with the name of its client, and their own private key',
  control: 'the token with the certificate that it was issued to',
  expected: 'refused: a name is not a certificate',
  demandedBy: ['RFC 8705 §3.1', 'RFC 8705 §7.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare the hash of the whole certificate, not its subject',
  async run(stage) {
    const { alice, issue } = stage.cast
    if (issue === undefined) throw new NotTried('the key of the authority is not available to issue a certificate')
    const { connection, token } = await stage.victim()
    const controls = [await attempt('with its own certificate', () => stage.use(connection, token))]
    const namesake = issue({ like: alice })
    const thefts = [
      await attempt('with a certificate of the same subject', async () =>
        stage.use(await stage.connect(namesake), token),
      ),
    ]
    return { controls, thefts }
  },
}
