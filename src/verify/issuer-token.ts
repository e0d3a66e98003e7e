// Reads a token of an external issuer and returns its claims under their RFC 9068 names. jose verifies the signature with
// the configured keys only; keys that the token points to are never used (RFC 8725 §3.10).
import { compactVerify } from 'jose'
import { isText, own } from '../core/access-token.ts'
import { isCanonical, parseObject } from '../core/compact-jws.ts'
import { describeValue } from '../core/describe-value.ts'
import { OAuthError, type Why } from '../core/errors.ts'
import { hashOpaqueToken } from '../core/opaque-token.ts'
import type { IssuerAlgorithm, IssuerKey } from '../keys/key-set.ts'
import type { ResolvedProfile } from './issuer-profiles.ts'
import type { Claims, TokenReader } from './token-reader.ts'

/**
 * Finds the issuer's keys that may have signed a token with this header. @throws OAuthError (rejects) `issuer_unavailable`
 */
export type FindIssuerKeys = (
  alg: IssuerAlgorithm,
  kid: string | undefined,
) => readonly IssuerKey[] | Promise<readonly IssuerKey[]>

/** Creates the reader of an issuer's tokens. */
export function createIssuerReader(profile: ResolvedProfile, findKeys: FindIssuerKeys): TokenReader {
  return async token => {
    const { alg, kid } = readHeader(token, profile)
    const candidates = await findKeys(alg, kid)
    if (candidates.length === 0) return refuse('bad_signature', 'unknown_key', { kid, alg })
    const payload = await verifySignature(token, alg, candidates)
    if (payload === undefined) return refuse('bad_signature', 'wrong_signature', { kid, alg, ...candidates[0]?.origin })
    const claims = parseObject(payload)
    if (claims === undefined) return refuse('bad_signature', 'not_jws')
    refuseOtherTokens(claims, profile)
    return normalize(claims, token, profile)
  }
}

interface Header {
  readonly alg: IssuerAlgorithm
  readonly kid: string | undefined
}

/** Parses the header of an unverified token. Its members can have any type. @throws OAuthError */
function readHeader(token: string, { types, algorithms, maximumLength }: ResolvedProfile): Header {
  if (token.length > maximumLength) refuse('bad_signature', 'too_long', { found: token.length, limit: maximumLength })
  const segments = token.split('.')
  const header =
    segments.length === 3 && segments.every(isCanonical)
      ? parseObject(Buffer.from(segments[0] as string, 'base64url').toString())
      : undefined
  if (header === undefined) return refuse('bad_signature', 'not_jws')
  const { alg, kid, typ } = header
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
  if (!types.includes(type as string | undefined)) refuse('wrong_type', 'typ', { found: describeValue(typ) })
  if (!algorithms.includes(alg as IssuerAlgorithm))
    refuse('bad_signature', 'wrong_algorithm', { alg: describeValue(alg), expected: algorithms.join(' ') })
  if (kid !== undefined && typeof kid !== 'string') refuse('bad_signature', 'header_member', { header: 'kid' })
  // RFC 7515 §4.1.11, RFC 7797 §6: an extension must be understood, and none is supported.
  for (const name of ['crit', 'b64'])
    if (Object.hasOwn(header, name)) refuse('bad_signature', 'header_member', { header: name })
  return { alg: alg as IssuerAlgorithm, kid: kid as string | undefined }
}

/** Returns the payload of a token that one of these keys signed; undefined: none did, or it is not UTF-8. */
export async function verifySignature(
  token: string,
  alg: IssuerAlgorithm,
  candidates: readonly IssuerKey[],
): Promise<string | undefined> {
  for (const { key } of candidates)
    try {
      const { payload } = await compactVerify(token, key, { algorithms: [alg] })
      return new TextDecoder('utf-8', { fatal: true }).decode(payload)
    } catch {} // another key, or not UTF-8; the library's message is dropped because it could quote the token
  return undefined
}

/**
 * Detects other tokens of the issuer whose `typ` is that of an access token (RFC 9068 §4, OpenID Connect Core §2,
 * Back-Channel Logout §2.4).
 * @throws OAuthError `wrong_type`
 */
function refuseOtherTokens(claims: Claims, { clientClaims }: ResolvedProfile): void {
  const has = (name: string) => Object.hasOwn(claims, name)
  const ofIdTokens = ['at_hash', 'c_hash', 's_hash'].find(has)
  const namesClient = clientClaims.some(has)
  const withoutClient = namesClient ? undefined : ['nonce', 'auth_time'].find(has)
  // Keycloak writes the kind of token into the payload; other issuers write it into token_use.
  const otherKind = ['typ', 'token_use']
    .map(name => own(claims, name))
    .find(kind => kind !== undefined && !isAccess(kind))
  const found =
    ofIdTokens ??
    withoutClient ??
    (has('events') ? 'events' : undefined) ??
    (otherKind === undefined ? undefined : describeValue(otherKind))
  if (found !== undefined) refuse('wrong_type', 'other_token', { found })
}

function isAccess(kind: unknown): boolean {
  return typeof kind === 'string' && ['bearer', 'dpop', 'access'].includes(kind.toLowerCase())
}

/** Maps the claims to the names and forms of RFC 9068. Missing or malformed claims stay so; checkClaims rejects them. */
function normalize(claims: Claims, token: string, profile: ResolvedProfile): Claims {
  const { clientClaims, scopeClaims, idClaim, optional, name, maximumLifetime } = profile
  const may = (claim: string) => optional.includes(claim)
  const client = clientClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const id = own(claims, idClaim) ?? (may('id') ? hashOpaqueToken(token) : undefined)
  const scope = scopeClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const { iat, exp } = claims
  // Without a time of issue, assume the earliest possible one, so that a revocation by time covers the token.
  const issued = iat === undefined && may('iat') && typeof exp === 'number' ? Math.max(0, exp - maximumLifetime) : iat
  const { grant: _grant, issued_after: _after, ...others } = claims
  return {
    // `grant` and `issued_after` have a meaning only in tokens of tlsbound.
    ...(name === 'rfc9068' ? claims : others),
    client_id: client,
    sub: own(claims, 'sub') ?? (may('sub') ? client : undefined),
    jti: id,
    iat: issued,
    scope: scope === undefined && may('scope') ? '' : joinScope(scope),
  }
}

/** Returns a scope as one string (RFC 8693 §4.2). Some issuers write a list of strings without spaces. */
function joinScope(scope: unknown): unknown {
  return Array.isArray(scope) && scope.every(entry => isText(entry) && !entry.includes(' ')) ? scope.join(' ') : scope
}

function refuse(...why: Why): never {
  throw new OAuthError('invalid_token', ...why)
}
