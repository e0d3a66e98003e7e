// Somebody asks for a token in a way that might give one that is bound less than it seems, and uses it as that binding is
// made to prevent. A black box shows no registrations, but it shows what a token is good for.
import { attempt } from '../attempt.ts'
import type { Identity } from '../cast.ts'
import type { Answer } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'
import { findOther } from '../thief.ts'

export const scenario: Scenario = {
  id: 'downgrade',
  sentence:
    'A token is asked for at no level, at unknown ones, or without a certificate, and used where no bound one is good.',
  stolen: 'the token',
  thief:
    'a certificate of their own; for a token that says it is bound to more, that of the client and its private key',
  control: 'a token that was asked for at a level of the server',
  expected: 'no token, or one that is bound as the answer says, to the certificate at least',
  demandedBy: ['RFC 8705 §2', 'RFC 8705 §3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Issue tokens only on connections with a client certificate, and reject every token without a cnf',
  async run(stage) {
    const { connection, token } = await stage.victim()
    const controls = [await attempt('at a level of the server', () => stage.use(connection, token))]
    const connect = (who: Identity | null) => stage.connectTo(stage.options.profile.tokenEndpoint, who)
    const levels = ['', 'none', 'Bearer', stage.level.toUpperCase(), `none ${stage.level}`]
    const thefts = [
      ...(await playSeries(
        async () => ({ connection: await connect(stage.cast.alice) }),
        Object.fromEntries(levels.map(level => [`asked for at level "${level}"`, level])),
        (client, token_binding) => useWhatIsGiven(stage, stage.requestToken(client.connection, { token_binding })),
      )),
      await attempt('asked for without a certificate', async () =>
        stage.requestToken(await connect(null), { client_id: stage.cast.alice.clientId }),
      ),
    ]
    return { controls, thefts }
  },
}

/** What comes of a request for a token: its refusal, or that of the token, which a thief uses without a proof. */
async function useWhatIsGiven(stage: Stage, request: Promise<Answer>): Promise<Answer> {
  const answer = await request
  const { access_token: token, token_binding: level = stage.level } = answer.body ?? {}
  if (typeof token !== 'string') return answer
  const thief = await stage.connect(level === 'certificate' ? findOther(stage) : stage.cast.alice)
  return thief.call(stage.resourcePath, { token })
}
