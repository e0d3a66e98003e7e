// Reads a token of an external issuer and returns its claims under their RFC 9068 names. jose verifies the signature with
// the configured keys only; keys that the token points to are never used (RFC 8725 §3.10).
import { compactVerify } from 'jose'
import { isText, own } from '../core/access-token.ts'
import { isCanonical, parseObject } from '../core/compact-jws.ts'
import { describeValue } from '../core/describe-value.ts'
import { OAuthError, type Why } from '../core/errors.ts'
import { hashOpaqueToken } from '../core/opaque-token.ts'
import { isPaseto, parsePaseto, pasetoVersion } from '../core/paseto.ts'
import type { IssuerAlgorithm, IssuerKey } from '../keys/key-set.ts'
import { verifyPaseto } from '../keys/paseto-key.ts'
import type { ResolvedProfile } from './issuer-profiles.ts'
import type { Claims, TokenReader } from './token-reader.ts'

/**
 * Finds the issuer's keys that may have signed a token with this header. @throws OAuthError (rejects) `issuer_unavailable`
 */
export type FindIssuerKeys = (
  alg: IssuerAlgorithm,
  kid: string | undefined,
) => readonly IssuerKey[] | Promise<readonly IssuerKey[]>

/** Creates the reader of an issuer's tokens. `issuer`: its name, which a PASETO is signed for. */
export function createIssuerReader(profile: ResolvedProfile, findKeys: FindIssuerKeys, issuer: string): TokenReader {
  return async token => {
    if (isPaseto(token)) return readPaseto(token, profile, findKeys, issuer)
    const { alg, kid } = readHeader(token, profile)
    const candidates = await findKeys(alg, kid)
    if (candidates.length === 0) return refuse('bad_signature', 'unknown_key', { kid, alg })
    const payload = await verifySignature(token, alg, candidates)
    if (payload === undefined) return refuse('bad_signature', 'wrong_signature', { kid, alg, ...candidates[0]?.origin })
    const claims = parseObject(payload)
    if (claims === undefined) return refuse('bad_signature', 'not_jws')
    const found = findOtherToken(claims, profile)
    if (found !== undefined) refuse('wrong_type', 'other_token', { found })
    return normalize(claims, token, profile)
  }
}

/** Reads a PASETO in the form of tlsbound, whose claims have the names of RFC 9068. The profile must allow its version. */
async function readPaseto(
  token: string,
  { algorithms, maximumLength }: ResolvedProfile,
  findKeys: FindIssuerKeys,
  issuer: string,
): Promise<Claims> {
  const alg = pasetoVersion
  const parts = parsePaseto(token, maximumLength)
  const { kid } = parts
  if (!algorithms.includes(alg)) refuse('bad_signature', 'wrong_algorithm', { alg, expected: algorithms.join(' ') })
  const candidates = await findKeys(alg, kid)
  if (candidates.length === 0) return refuse('bad_signature', 'unknown_key', { kid, alg })
  for (const { key } of candidates) {
    const claims = verifyPaseto(parts, key, issuer)
    if (claims !== undefined) return claims
  }
  return refuse('bad_signature', 'wrong_signature', { kid, alg, ...candidates[0]?.origin })
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
  if (!types.includes(normalizeType(typ) as string | undefined))
    refuse('wrong_type', 'typ', { found: describeValue(typ) })
  if (!algorithms.includes(alg as IssuerAlgorithm) || alg === pasetoVersion)
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

/** Returns a `typ` in lower case and without `application/` (RFC 7515 §4.1.9); one that is no string unchanged. */
export function normalizeType(typ: unknown): unknown {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ
}

/**
 * Detects other tokens of the issuer whose `typ` is that of an access token (RFC 9068 §4, OpenID Connect Core §2,
 * Back-Channel Logout §2.4). Returns the claim that shows it, or the kind that the token names.
 */
export function findOtherToken(claims: Claims, { clientClaims }: ResolvedProfile): string | undefined {
  const has = (name: string) => Object.hasOwn(claims, name)
  // An ID token has `sub` too, which names its client in the access tokens of some issuers.
  const namesClient = clientClaims.some(claim => claim !== 'sub' && has(claim))
  const withoutClient = namesClient ? [] : ['nonce', 'auth_time']
  return (
    ['at_hash', 'c_hash', 's_hash', ...withoutClient, 'events'].find(has) ??
    findOtherKind(claims, ['bearer', 'dpop', 'access'])
  )
}

/** Returns the kind of token that the claims name, unless it is one of these: Keycloak has `typ`, others `token_use`. */
export function findOtherKind(claims: Claims, kinds: readonly string[]): string | undefined {
  const named = ['typ', 'token_use'].map(name => own(claims, name)).filter(kind => kind !== undefined)
  const other = named.findIndex(kind => !(typeof kind === 'string' && kinds.includes(kind.toLowerCase())))
  return other === -1 ? undefined : describeValue(named[other])
}

/** Maps the claims to the names and forms of RFC 9068. Missing or malformed claims stay so; checkClaims rejects them. */
function normalize(claims: Claims, token: string, profile: ResolvedProfile): Claims {
  const { clientClaims, scopeClaims, idClaim, optional, name, maximumLifetime } = profile
  /** A claim, or what takes its place when it is absent. One of another type, such as null, is not absent. */
  const claimOr = (name: string, permission: string, replacement: () => unknown) =>
    !Object.hasOwn(claims, name) && optional.includes(permission) ? replacement() : own(claims, name)
  const client = clientClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const scope = scopeClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const { exp } = claims
  const { grant: _grant, issued_after: _after, ...others } = claims
  return {
    // `grant` and `issued_after` have a meaning only in tokens of tlsbound.
    ...(name === 'rfc9068' ? claims : others),
    client_id: client,
    sub: claimOr('sub', 'sub', () => client),
    jti: claimOr(idClaim, 'id', () => hashOpaqueToken(token)),
    // Without a time of issue, assume the earliest possible one, so that a revocation by time covers the token.
    iat: claimOr('iat', 'iat', () => (typeof exp === 'number' ? Math.max(0, exp - maximumLifetime) : undefined)),
    scope: scope === undefined && optional.includes('scope') ? '' : joinScope(scope),
  }
}

/** Returns a scope as one string (RFC 8693 §4.2). Some issuers write a list of strings without spaces. */
function joinScope(scope: unknown): unknown {
  return Array.isArray(scope) && scope.every(entry => isText(entry) && !entry.includes(' ')) ? scope.join(' ') : scope
}

function refuse(...why: Why): never {
  throw new OAuthError('invalid_token', ...why)
}
