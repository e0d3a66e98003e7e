// A token of an issuer elsewhere → its claims, in the names of RFC 9068 whatever the issuer calls them. Its signature is verified
// by jose, with the keys that were configured and nothing that the token points to (RFC 8725 §3.10).
import { compactVerify } from 'jose'
import { isText, own } from '../core/access-token.ts'
import { isCanonical, parseObject } from '../core/compact-jws.ts'
import { describeValue } from '../core/describe-value.ts'
import { OAuthError, type Why } from '../core/errors.ts'
import { hashOpaqueToken } from '../core/opaque-token.ts'
import type { IssuerAlgorithm, IssuerKey } from '../keys/key-set.ts'
import type { ResolvedProfile } from './issuer-profiles.ts'
import type { Claims, TokenReader } from './token-reader.ts'

/** Finds the keys of an issuer that may have signed a token with this header. @throws OAuthError (rejects) `issuer_unavailable` */
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
    if (payload === undefined) return refuse('bad_signature', 'wrong_signature', { kid, alg })
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

/** Reads the header of a token that is not verified yet; its members can be of any type. @throws OAuthError */
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
  // Extensions that must be understood (RFC 7515 §4.1.11, RFC 7797 §6): none is.
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
    } catch {} // not made with this key, or not UTF-8; the words of the library could quote the token
  return undefined
}

/**
 * A token of the issuer that is no access token, although its `typ` is that of one (RFC 9068 §4, OpenID Connect Core §2, Back-Channel
 * Logout §2.4). @throws OAuthError `wrong_type`
 */
function refuseOtherTokens(claims: Claims, { clientClaims }: ResolvedProfile): void {
  const has = (name: string) => Object.hasOwn(claims, name)
  const ofIdTokens = ['at_hash', 'c_hash', 's_hash'].find(has)
  const namesClient = clientClaims.some(has)
  const withoutClient = namesClient ? undefined : ['nonce', 'auth_time'].find(has)
  // Keycloak writes the kind of each token into its payload, others into token_use.
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

/** Gives the claims the names and forms of RFC 9068. What is missing or malformed stays so, for checkClaims to refuse. */
function normalize(claims: Claims, token: string, profile: ResolvedProfile): Claims {
  const { clientClaims, scopeClaims, idClaim, optional, name, maximumLifetime } = profile
  const may = (claim: string) => optional.includes(claim)
  const client = clientClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const id = own(claims, idClaim) ?? (may('id') ? hashOpaqueToken(token) : undefined)
  const scope = scopeClaims.map(claim => own(claims, claim)).find(value => value !== undefined)
  const { iat, exp } = claims
  // Without a time of issue it counts as issued as early as possible, so that a revocation of all before some time reaches it.
  const issued = iat === undefined && may('iat') && typeof exp === 'number' ? Math.max(0, exp - maximumLifetime) : iat
  const { grant: _grant, issued_after: _after, ...others } = claims
  return {
    // `grant` and `issued_after` mean something in tokens of tlsbound only.
    ...(name === 'rfc9068' ? claims : others),
    client_id: client,
    sub: own(claims, 'sub') ?? (may('sub') ? client : undefined),
    jti: id,
    iat: issued,
    scope: scope === undefined && may('scope') ? '' : joinScope(scope),
  }
}

/** One text (RFC 8693 §4.2), or a list of texts without spaces, as some issuers write it. */
function joinScope(scope: unknown): unknown {
  return Array.isArray(scope) && scope.every(entry => isText(entry) && !entry.includes(' ')) ? scope.join(' ') : scope
}

function refuse(...why: Why): never {
  throw new OAuthError('invalid_token', ...why)
}
