// grant_type client_credentials (RFC 6749 §4.4). Only clients registered for refresh_token as well get a refresh token.
import { confirm } from '../../core/confirmation.ts'
import { authorize } from '../../core/policy.ts'
import { type GrantRequest, startGrant, tokenRequestOf } from './grant.ts'
import { issueAccessToken, type TokenAnswer } from './issue.ts'

export async function clientCredentials({ request, form, by, parts }: GrantRequest): Promise<TokenAnswer> {
  const { client, presenter } = by
  const authorization = authorize(client, tokenRequestOf(form), parts.targets)
  const cnf = confirm(presenter, authorization.binding)
  const issuance = { grantType: 'client_credentials', authorization, cnf, subject: client.id } as const
  if (!client.grantTypes.has('refresh_token')) return issueAccessToken(request, by, issuance, parts)
  const { grant, refreshToken } = await startGrant(by, issuance, parts)
  const answer = await issueAccessToken(request, by, { ...issuance, grant }, parts)
  return { ...answer, refresh_token: refreshToken }
}
