// The subject_token of an exchange → the subject (RFC 8693 §2.1). An outside issuer's token by that issuer's rules; one of
// ours only from its own presenter, like anywhere else. It is written nowhere, and every refusal of it looks the same.

import { type AccessTokenClaims, checkClaims, describeAudience, parseScope } from '../../core/access-token.ts'
import { verifyConfirmation } from '../../core/confirmation.ts'
import { describeValue } from '../../core/describe-value.ts'
import type { DetailOf, RefusalFacts } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import { isOpaqueToken } from '../../core/opaque-token.ts'
import { isPaseto } from '../../core/paseto.ts'
import { type Subject, verifyOutsideSubject } from '../../core/subject-token.ts'
import type { TrustedIssuer } from '../../core/trusted-issuer.ts'
import { type IssuerProfileName, type ResolvedProfile, resolveProfile } from '../../verify/issuer-profiles.ts'
import { findOtherKind, findOtherToken, normalizeType } from '../../verify/issuer-token.ts'
import { type Presentation, requireProof } from '../../verify/proofs.ts'
import { describeToken } from '../../verify/token-facts.ts'
import type { ServerParts } from '../parts.ts'
import type { Authenticated } from './authenticate.ts'
import { readIssuer } from './trusted-issuers.ts'

/** RFC 8693 §3. */
const jwt = 'urn:ietf:params:oauth:token-type:jwt'
const idToken = 'urn:ietf:params:oauth:token-type:id_token'
export const accessToken = 'urn:ietf:params:oauth:token-type:access_token'
export const subjectTokenTypes: readonly string[] = [jwt, idToken, accessToken]

/** The longest token that is looked at, in characters. */
const maximumLength = 8192

/**
 * @throws OAuthError (rejects) `subject_token_invalid`, whatever is wrong with it; `issuer_unavailable` or
 * `store_unavailable` when that cannot be known.
 */
export async function readSubject(
  token: string,
  type: string,
  by: Authenticated,
  parts: ServerParts,
  request: Presentation,
): Promise<Subject> {
  if (token.length > maximumLength) throw invalid('too_long', { found: token.length, limit: maximumLength })
  const issuer = readIssuer(token)
  if (isOpaqueToken(token) === 'at' || isPaseto(token) || issuer === parts.settings.issuer)
    return readOurs(token, type, by, parts, request)
  try {
    return await readOutside(token, type, by, parts)
  } catch (error) {
    if (!(error instanceof OAuthError) || error.reason !== 'subject_token_invalid') throw error
    const { detail, facts } = error
    throw invalid(detail as DetailOf<'subject_token_invalid'>, {
      ...(issuer !== undefined && { issuer: describeValue(issuer) }),
      ...facts,
    })
  }
}

async function readOutside(token: string, type: string, by: Authenticated, parts: ServerParts): Promise<Subject> {
  const read = await parts.outsideIssuers?.read(token)
  if (read === undefined) throw invalid('not_trusted')
  const profile = findProfile(read.rules)
  if (!fits(read.type, type, profile)) throw invalid('typ', { found: describeValue(read.type), expected: type })
  const found =
    profile && (type === idToken ? findOtherKind(read.claims, ['id']) : findOtherToken(read.claims, profile))
  if (found !== undefined) throw invalid('other_token', { found, expected: type })
  const { client, presenter } = by
  const subject = verifyOutsideSubject(read.claims, read.rules, {
    clientId: client.id,
    presenter,
    typ: read.type,
    now: parts.clock() / 1000,
  })
  // A user of the name of a client could be taken for that client (RFC 9700 §4.15).
  if (parts.clients.get(subject.sub) !== undefined) throw invalid('names_a_client', { found: subject.sub })
  return subject
}

async function readOurs(
  token: string,
  type: string,
  by: Authenticated,
  parts: ServerParts,
  request: Presentation,
): Promise<Subject> {
  const { client, presenter, connection } = by
  const time = parts.clock() / 1000
  let claims: AccessTokenClaims | undefined
  try {
    claims = (await parts.readToken(token)) as unknown as AccessTokenClaims
    const { aud, client_id: owner } = claims
    // The claims are not checked yet: aud can have any type.
    if (typeof aud !== 'string' || parts.targets.find(aud) === undefined)
      throw invalid('audience', { found: describeAudience(aud) })
    checkClaims({ ...claims }, { issuer: parts.settings.issuer, audience: aud }, time)
    // Those of this server have whole seconds; in one that has not, what is left of the last second is nobody's.
    if (Math.floor(claims.exp) <= time)
      throw new OAuthError('invalid_token', 'expired', 'ended', { found: claims.exp, now: time })
    // Before the presenter is compared: a token that is dead already is no alarm in wrong hands.
    const revocation = parts.state.findRevocation(claims)
    if (revocation !== undefined) throw new OAuthError('invalid_token', 'revoked', ...revocation)
    const prove = () => void requireProof(request, token, connection, time)
    const binding = verifyConfirmation(claims.cnf, presenter, prove)
    if (owner !== client.id) throw invalid('other_client', { found: owner, expected: client.id })
    const isJwt = isOpaqueToken(token) === undefined && !isPaseto(token)
    if (type === idToken || (type === jwt && !isJwt)) throw invalid('typ', { found: type })
    const { sub, scope, exp, act, grant } = claims
    return { sub, scope: parseScope(scope), expires: Math.floor(exp), act, audience: aud, grant, binding }
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code === 'temporarily_unavailable') throw error
    const refusal = explainOurs(error)
    if (claims !== undefined) refusal.token = describeToken({ ...claims })
    throw refusal
  }
}

/** The refusal of a subject token that would be refused as an access token. */
function explainOurs(refusal: OAuthError): OAuthError {
  const { reason, detail, facts } = refusal
  if (reason === 'subject_token_invalid') return refusal
  if (reason === 'certificate_mismatch') return invalid('other_certificate', facts)
  if (reason === 'connection_mismatch' && detail === 'other_connection') return invalid('other_connection', facts)
  return invalid('own_token', { ...facts, reason, detail })
}

function findProfile({ profile }: TrustedIssuer): ResolvedProfile | undefined {
  return profile === undefined ? undefined : resolveProfile(profile as IssuerProfileName)
}

/**
 * Whether the `typ` of a header is one of a token that may be exchanged, and that it was said to be (RFC 8725 §3.11). A profile
 * describes access tokens only.
 */
function fits(typ: string | undefined, type: string, profile: ResolvedProfile | undefined): boolean {
  const name = normalizeType(typ) as string | undefined
  if (type === idToken) return name === undefined || name === 'jwt'
  return (profile?.types ?? [undefined, 'jwt', 'at+jwt']).includes(name) // no logout token, proof, event …
}

function invalid(detail: DetailOf<'subject_token_invalid'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'subject_token_invalid', detail, facts)
}
