// After a restart all connections are gone; stored state must not make their tokens valid again.
import { attempt, NotTried } from '../attempt.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'server-restart',
  sentence: 'The server restarts, and a token that was issued before is used on a new connection.',
  stolen: 'the token',
  thief: 'also the certificate and the private key of its client',
  control: 'the token before the restart, and a new one after it',
  expected: 'refused, because its connection is closed',
  demandedBy: ['RFC 9266 §2', 'level connection'],
  stoppedAt: ['connection'],
  remedy: 'Do not accept a connection-bound token after its connection is closed; store no binding across restarts',
  async run(stage) {
    const { restart } = stage.options
    if (restart === undefined) throw new NotTried('the lab cannot restart this server')
    const before = await stage.victim()
    const first = await attempt('before the restart', () => stage.use(before.connection, before.token))
    await restart()
    const thief = await stage.connect(stage.cast.alice)
    const thefts = [await attempt('after the restart', () => stage.use(thief, before.token))]
    const after = await stage.victim()
    const controls = [
      first,
      await attempt('a new token after the restart', () => stage.use(after.connection, after.token)),
    ]
    return { controls, thefts }
  },
}
