// Requests a token in ways that may result in a weaker binding, and uses it where that binding must prevent it. From
// outside, registrations are unknown, but the binding of a token can be observed.
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
    'A token is requested at no level, at unknown levels or without a certificate, and used where no bound token is valid.',
  stolen: 'the token',
  thief: 'their own certificate; for a token with a stronger binding, the certificate and private key of the client',
  control: 'a token that was requested at a supported level',
  expected: 'no token, or one bound as the response states, at least to the certificate',
  demandedBy: ['RFC 8705 §2', 'RFC 8705 §3'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Issue tokens only on connections with a client certificate, and reject every token without a cnf',
  async run(stage) {
    const { connection, token } = await stage.victim()
    const controls = [await attempt('requested at a supported level', () => stage.use(connection, token))]
    const connect = (who: Identity | null) => stage.connectTo(stage.options.profile.tokenEndpoint, who)
    const levels = ['', 'none', 'Bearer', stage.level.toUpperCase(), `none ${stage.level}`]
    const thefts = [
      ...(await playSeries(
        async () => ({ connection: await connect(stage.cast.alice) }),
        Object.fromEntries(levels.map(level => [`requested at level "${level}"`, level])),
        (client, token_binding) => useWhatIsGiven(stage, stage.requestToken(client.connection, { token_binding })),
      )),
      await attempt('requested without a certificate', async () =>
        stage.requestToken(await connect(null), { client_id: stage.cast.alice.clientId }),
      ),
    ]
    return { controls, thefts }
  },
}

/** Returns the refusal of a token request, or the response to the issued token, which a thief uses without a proof. */
async function useWhatIsGiven(stage: Stage, request: Promise<Answer>): Promise<Answer> {
  const answer = await request
  const { access_token: token, token_binding: level = stage.level } = answer.body ?? {}
  if (typeof token !== 'string') return answer
  const thief = await stage.connect(level === 'certificate' ? findOther(stage) : stage.cast.alice)
  return thief.call(stage.resourcePath, { token })
}
