// The simplest theft: only a token, on any TLS connection.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'no-certificate',
  sentence: 'A token is used on a connection without any client certificate.',
  stolen: 'the token',
  thief: 'nothing',
  control: 'the token on a connection of its client',
  expected: 'refused, or no connection at all',
  demandedBy: ['RFC 8705 §3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Require a client certificate on connections that tokens are used on, and reject a bound token without one',
  async run(stage) {
    const { connection, token } = await stage.victim()
    const controls = [await attempt('with its own certificate', () => stage.use(connection, token))]
    const thefts = [await attempt('without a certificate', async () => stage.use(await stage.connect(null), token))]
    return { controls, thefts }
  },
}
