// A server that checks first and marks later issues two lines of tokens for two concurrent uses. It may issue one line to all
// of them: that helps a client whose processes race, and a thief gains no line of their own.
import { attempt, NotTried } from '../attempt.ts'
import { refresh, refreshTokenOf, startGrant } from '../refresh.ts'
import type { Scenario } from '../scenario.ts'

export const scenario: Scenario = {
  id: 'refresh-token-race',
  sentence: 'A refresh token is used many times at once, on several connections.',
  stolen: 'the refresh token, the certificate and the private key of its client',
  thief: 'connections as that client',
  control: 'one of the uses, and every other one that gets the same successor',
  expected: 'every other use is refused, and all of them once the successor was used',
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
    const successors: (string | undefined)[] = []
    const found = await Promise.all(
      uses.map((at, use) =>
        attempt(`use ${use + 1} of ${uses.length}`, async () => {
          const answer = await refresh(stage, at, refreshToken ?? '')
          successors[use] = refreshTokenOf(answer)
          return answer
        }),
      ),
    )
    const first200 = found.findIndex(({ result }) => result === 'accepted')
    const successor = successors[first200]
    const controls = found.filter((_, use) => use === first200 || (successor && successors[use] === successor))
    if (first200 < 0) controls.push({ what: 'one of the uses', result: 'refused', seen: 'none was accepted' })
    const others = found.filter(use => !controls.includes(use))
    controls.push(await attempt('the successor', () => refresh(stage, connection, successor ?? '')))
    const late = await attempt('after its successor', () => refresh(stage, connection, refreshToken ?? ''))
    return { controls, thefts: [...others, late] }
  },
}

const lanes = 4
