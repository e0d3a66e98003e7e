// Tokens of outside issuers: which issuer one claims to come from, and whether that issuer signed it (RFC 8725 §3.1, §3.8).
// Signatures are verified with the keys that were configured, and with nothing that a token points to (RFC 8725 §3.10).
import { decodeJwt } from 'jose'
import { describeSegments, isCanonical, parseObject } from '../../core/compact-jws.ts'
import { describeValue } from '../../core/describe-value.ts'
import type { DetailOf, RefusalFacts } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import { isTooDeep, maximumDepth } from '../../core/json-depth.ts'
import type { TrustedIssuer } from '../../core/trusted-issuer.ts'
import type { IssuerAlgorithm } from '../../keys/key-set.ts'
import { type IssuerKeys, openIssuerKeys } from '../../verify/issuer-keys.ts'
import { type FindIssuerKeys, verifySignature } from '../../verify/issuer-token.ts'
import type { Claims } from '../../verify/token-reader.ts'

export interface OutsideIssuer {
  readonly rules: TrustedIssuer
  /** The keys of a file, or where they are; without an address, the issuer's metadata names it. */
  readonly keys: IssuerKeys
}

export interface OutsideIssuers {
  /**
   * The claims of a token that one of these issuers signed, and the rules for that issuer.
   * @throws OAuthError (rejects) `subject_token_invalid`, or `issuer_unavailable` when its keys cannot be had.
   */
  read(token: string): Promise<{ claims: Claims; rules: TrustedIssuer; type: string | undefined }>
  /** Puts other issuers in the place of all. Keys that were fetched are forgotten. */
  replace(issuers: readonly OutsideIssuer[]): void
}

export interface OutsideIssuersOptions {
  /** Milliseconds, monotonic. */
  readonly clock?: (() => number) | undefined
  /** Milliseconds that an issuer has to answer. */
  readonly timeout?: number | undefined
  /** Called with a sentence when keys of an issuer are left out. */
  readonly onWarning?: ((message: string) => void) | undefined
}

export function createOutsideIssuers(
  issuers: readonly OutsideIssuer[],
  options: OutsideIssuersOptions = {},
): OutsideIssuers {
  const index = (list: readonly OutsideIssuer[]) =>
    new Map<unknown, { rules: TrustedIssuer; find: FindIssuerKeys }>(
      list.map(({ rules, keys }) => {
        const algorithms = rules.algorithms as readonly IssuerAlgorithm[]
        return [
          rules.issuer,
          { rules, find: openIssuerKeys(keys, { ...options, issuer: rules.issuer, algorithms }).find },
        ]
      }),
    )
  let trusted = index(issuers)
  return {
    read: async token => {
      const unverified = readClaims(token)
      if (unverified === undefined) throw invalid('not_jws', { found: describeToken(token) })
      const issuer = trusted.get(unverified.iss)
      if (issuer === undefined) throw invalid('not_trusted', { issuer: describeValue(unverified.iss) })
      const { rules, find } = issuer
      const { alg, kid, type } = readHeader(token, rules)
      const facts = { issuer: rules.issuer, kid, alg }
      const candidates = await find(alg, kid)
      if (candidates.length === 0) throw invalid('unknown_key', facts)
      const payload = await verifySignature(token, alg, candidates)
      if (payload === undefined) throw invalid('wrong_signature', { ...facts, ...candidates[0]?.origin })
      return { claims: JSON.parse(payload) as Claims, rules, type }
    },
    replace: others => {
      trusted = index(others)
    },
  }
}

/**
 * Reads the header of a token that is not verified yet. Its members can be of any JSON type.
 * @throws OAuthError `subject_token_invalid`
 */
function readHeader(
  token: string,
  rules: TrustedIssuer,
): { alg: IssuerAlgorithm; kid: string | undefined; type: string | undefined } {
  const segments = token.split('.')
  const header = segments.every(isCanonical)
    ? parseObject(Buffer.from(segments[0] as string, 'base64url').toString())
    : undefined
  if (header === undefined) throw invalid('not_jws', { issuer: rules.issuer, found: describeSegments(segments) })
  const { alg, kid, typ } = header
  if (typeof alg !== 'string' || !rules.algorithms.includes(alg))
    throw invalid('wrong_algorithm', { alg: describeValue(alg), expected: rules.algorithms.join(' ') })
  if (kid !== undefined && typeof kid !== 'string')
    throw invalid('header_member', { header: 'kid', found: describeValue(kid) })
  if (typ !== undefined && typeof typ !== 'string') throw invalid('typ', { found: describeValue(typ) })
  // RFC 7515 §4.1.11, RFC 7797 §6: an extension must be understood, and none is supported.
  for (const name of ['crit', 'b64'])
    if (Object.hasOwn(header, name))
      throw invalid('header_member', { header: name, found: describeValue(header[name]) })
  return { alg: alg as IssuerAlgorithm, kid, type: typ }
}

/** Returns `iss` of a token that is not verified yet; undefined when it is not a JWT. */
export function readIssuer(token: string): unknown {
  return readClaims(token)?.iss
}

function readClaims(token: string): Claims | undefined {
  try {
    return isTooDeep(claimsText(token)) ? undefined : decodeJwt(token)
  } catch {
    return undefined
  }
}

/** Why a token has no claims that can be read. */
function describeToken(token: string): string {
  const segments = token.split('.')
  const isForm = segments.length === 3 && isCanonical(segments[1] as string)
  if (!isForm) return describeSegments(segments)
  return isTooDeep(claimsText(token))
    ? `claims that are nested more than ${maximumDepth} deep`
    : 'claims that are not a JSON object in UTF-8'
}

function claimsText(token: string): string {
  return Buffer.from(token.split('.', 2)[1] ?? '', 'base64url').toString()
}

function invalid(detail: DetailOf<'subject_token_invalid'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_request', 'subject_token_invalid', detail, facts)
}
