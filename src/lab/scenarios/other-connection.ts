// The theft that level connection stops: token and private key are stolen, but a connection cannot be.
import { attempt } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'other-connection',
  sentence: 'A token is used on a second connection that was opened with the same certificate and private key.',
  stolen: 'the token',
  thief: 'also the certificate and the private key of its client',
  control: 'the token on the connection that it was issued on',
  expected: 'refused on every other connection',
  demandedBy: ['RFC 9266 §2', 'level connection'],
  stoppedAt: ['connection'],
  remedy: 'Compare the channel binding in the cnf of the token with that of the connection (RFC 9266)',
  async run(stage) {
    const { connection, token } = await stage.victim()
    const control = () => attempt('on its own connection', () => stage.use(connection, token))
    const controls = [await control()]
    const second = await stage.connect(stage.cast.alice)
    const thefts = [await attempt('on a second connection', () => stage.use(second, token))]
    const own = await stage.victim()
    thefts.push(
      await attempt("on a connection with a token of the thief's own", () => stage.use(own.connection, token)),
    )
    return { controls: [...controls, await control()], thefts }
  },
}
