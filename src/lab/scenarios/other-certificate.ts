// The theft that every level stops: the token leaked, for example in a log, but the private key did not.
import { attempt, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'other-certificate',
  sentence: 'A token is used on a connection with another certificate.',
  stolen: 'the token',
  thief: 'their own certificates: registered, unregistered, of an untrusted authority',
  control: 'the token on a connection of its client',
  expected: 'refused with every certificate except that of its client',
  demandedBy: ['RFC 8705 §3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Compare x5t#S256 in the cnf of the token with the certificate of the connection (RFC 8705 section 3)',
  async run(stage) {
    const { connection, token } = await stage.victim()
    const controls = [await attempt('with its own certificate', () => stage.use(connection, token))]
    const { bob, mallory, stranger } = stage.cast
    const thieves = Object.entries({
      'of another client': bob,
      'that is not registered': mallory,
      'of an untrusted authority': stranger,
    })
    const thefts = []
    for (const [whose, thief] of thieves)
      if (thief !== undefined)
        thefts.push(
          await attempt(`with a certificate ${whose}`, async () => stage.use(await stage.connect(thief), token)),
        )
    if (thefts.length === 0) throw new NotTried('there is no second identity for the thief')
    return { controls, thefts }
  },
}
