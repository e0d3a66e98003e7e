// A server that checks first and marks later issues tokens for two concurrent uses.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-token-race',
  sentence: 'A refresh token is used many times at once, on several connections.',
  stolen: 'the refresh token, the certificate and the private key of its client',
  thief: 'connections as that client',
  control: 'one of the uses',
  expected: 'every other use is refused',
  demandedBy: ['RFC 9700 §4.14.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Invalidate a refresh token in one atomic step of the database',
  async run(stage) {
    const { connection, refreshToken: first } = await startGrant(stage)
    const answer = await refresh(stage, connection, first)
    const refreshToken = refreshTokenOf(answer)
    if (answer.status === 200 && (refreshToken ?? first) === first)
      throw new NotTried('the server does not rotate refresh tokens, so it allows a second use')
    const { tokenEndpoint } = stage.options.profile
    const connections = [connection]
    while (connections.length < lanes) connections.push(await stage.connectTo(tokenEndpoint, stage.cast.alice))

    const uses = Array.from({ length: lanes * 3 }, (_, use) => connections[use % lanes] as typeof connection)
    const found = await Promise.all(
      uses.map((at, use) => attempt(`use ${use + 1} of ${uses.length}`, () => refresh(stage, at, refreshToken ?? ''))),
    )
    const first200 = found.find(({ result }) => result === 'accepted')
    const controls = [first200 ?? { what: 'one of the uses', result: 'refused' as const, seen: 'none was accepted' }]
    return { controls, thefts: found.filter(use => use !== first200) }
  },
}

const lanes = 4
