// Refresh tokens, if a server issues any for this grant. RFC 6749 §6.
import { type Attempt, describeAnswer, NotTried } from './attempt.ts'
import type { Identity } from './cast.ts'
import type { Answer } from './connection.ts'
import { playSeries } from './series.ts'
import type { Speaker, Stage } from './stage.ts'

/** Requests a grant of alice; returns it with its connection to the token endpoint. @throws NotTried (rejects) */
export async function startGrant(stage: Stage): Promise<{ connection: Speaker; refreshToken: string }> {
  const connection = await stage.connectTo(stage.options.profile.tokenEndpoint, stage.cast.alice)
  const answer = await stage.requestToken(connection)
  const refreshToken = refreshTokenOf(answer)
  if (refreshToken === undefined)
    throw new NotTried(
      answer.status === 200 ? 'no refresh token was issued' : `no token was issued: ${describeAnswer(answer)}`,
    )
  return { connection, refreshToken }
}

/** Returns a connection of alice with a renewed certificate: a new key under the same name. @throws NotTried (rejects) */
export async function renew(stage: Stage): Promise<Speaker> {
  const { alice, issue } = stage.cast
  if (issue === undefined) throw new NotTried('the key of the authority is not available to issue a certificate')
  return stage.connectTo(stage.options.profile.tokenEndpoint, issue({ like: alice }))
}

/** Uses a refresh token as the client of the connection; `parameters` override the form. */
export function refresh(
  stage: Stage,
  connection: Speaker,
  refreshToken: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return stage.requestToken(connection, { grant_type: 'refresh_token', refresh_token: refreshToken, ...parameters })
}

/** Uses a refresh token of alice as each of the others, on a connection of their own. */
export async function refreshAsOthers(stage: Stage, refreshToken: string): Promise<Attempt[]> {
  const { alice, bob, mallory, stranger } = stage.cast
  const others: Record<string, readonly [Identity | null, string]> = {
    'without a certificate': [null, alice.clientId],
    ...(bob && {
      'by another client': [bob, bob.clientId],
      'by another client, with the client_id of the victim': [bob, alice.clientId],
    }),
    ...(mallory && { 'with an unregistered certificate': [mallory, alice.clientId] }),
    ...(stranger && { 'with a certificate of an untrusted authority': [stranger, alice.clientId] }),
  }
  const thefts: Attempt[] = []
  for (const [what, [who, client_id]] of Object.entries(others))
    thefts.push(
      ...(await playSeries(
        async () => ({ connection: await stage.connectTo(stage.options.profile.tokenEndpoint, who) }),
        { [what]: client_id },
        ({ connection }, client_id) => refresh(stage, connection, refreshToken, { client_id }),
      )),
    )
  return thefts
}

/** Returns the refresh token of a response. */
export function refreshTokenOf({ body }: Answer): string | undefined {
  return typeof body?.refresh_token === 'string' ? body.refresh_token : undefined
}
