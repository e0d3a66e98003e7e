// grant_type token-exchange (RFC 8693): somebody's token becomes a token that only this client can use, on behalf of them.
// Never more scope than it had, never longer than it lasts, and bound as every token of ours is, never more weakly than it.
import { confirm, isAtLeast } from '../../core/confirmation.ts'
import { malformed, OAuthError } from '../../core/errors.ts'
import { authorize, isSameTarget, withoutQuery } from '../../core/policy.ts'
import { narrowScope } from '../../core/subject-token.ts'
import { type Form, requireParameter } from '../bodies.ts'
import { type GrantRequest, startGrant } from './grant.ts'
import { issueAccessToken, type TokenAnswer } from './issue.ts'
import { accessToken, readSubject, subjectTokenTypes } from './subject-token.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange' as const

export async function tokenExchange({ request, form, by, parts }: GrantRequest): Promise<TokenAnswer> {
  const { client, presenter } = by
  const { requested_token_type: requested = accessToken } = form
  const token = requireParameter(form, 'subject_token')
  const type = requireParameter(form, 'subject_token_type')
  if (!subjectTokenTypes.includes(type))
    throw malformed('parameter_invalid', { parameter: 'subject_token_type', expected: subjectTokenTypes.join(', ') })
  if (requested !== accessToken)
    throw malformed('parameter_invalid', { parameter: 'requested_token_type', expected: accessToken })
  for (const parameter of ['actor_token', 'actor_token_type'])
    if (form[parameter] !== undefined)
      throw malformed('parameter_not_supported', {
        parameter,
        expected: 'the actor is the client that its certificate shows',
      })

  const subject = await readSubject(token, type, by, parts, request.raw)
  const resource = readTarget(form) ?? subject.audience
  const scope = narrowScope(form.scope, subject.scope, client.scope)
  const { binding: least = 'certificate' } = subject
  const binding = form.token_binding ?? (isAtLeast(client.bindings[0], least) ? undefined : least)
  const authorization = authorize(client, { scope, binding, resource }, parts.targets)
  if (!isAtLeast(authorization.binding, least))
    throw new OAuthError('invalid_request', 'binding_not_allowed', 'weaker_than_subject', {
      found: authorization.binding,
      expected: least,
    })
  const cnf = confirm(presenter, authorization.binding)

  const { sub, act, expires } = subject
  const issuance = { grantType, authorization, cnf, subject: sub, act, expires }
  const answer = { issued_token_type: accessToken }
  // What comes of a token of ours stays in its grant, if it has one, and never outlives it.
  if (subject.audience !== undefined || !client.grantTypes.has('refresh_token'))
    return { ...(await issueAccessToken(request, by, { ...issuance, grant: subject.grant }, parts)), ...answer }
  const { grant, refreshToken } = await startGrant(by, issuance, parts)
  const issued = await issueAccessToken(request, by, { ...issuance, grant }, parts)
  return { ...issued, ...answer, refresh_token: refreshToken }
}

/** A token is for one target, whichever parameter names it. @throws OAuthError `target_unknown` */
function readTarget({ resource, audience }: Form): string | undefined {
  if (resource !== undefined && audience !== undefined && !isSameTarget(resource, audience))
    throw new OAuthError('invalid_target', 'target_unknown', 'two_targets', {
      found: `resource ${withoutQuery(resource)}, audience ${withoutQuery(audience)}`,
    })
  return resource ?? audience
}
