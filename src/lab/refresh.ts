// Refresh tokens, if a server issues any for this grant. RFC 6749 §6.
import { describeAnswer, NotTried } from './attempt.ts'
import type { Answer } from './connection.ts'
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

/** Returns the refresh token of a response. */
export function refreshTokenOf({ body }: Answer): string | undefined {
  return typeof body?.refresh_token === 'string' ? body.refresh_token : undefined
}
