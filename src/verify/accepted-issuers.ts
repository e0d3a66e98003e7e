// The issuers whose tokens a verifier accepts, and the selection of one by `iss`.
import type { AccessTokenClaims, Expectations } from '../core/access-token.ts'
import { anyRule, checkOptions, filledRule, type Rules } from '../core/check-options.ts'
import { parseObject } from '../core/compact-jws.ts'
import { describeValue } from '../core/describe-value.ts'
import { OAuthError } from '../core/errors.ts'
import { isPaseto } from '../core/paseto.ts'
import { decodePaseto } from '../core/paseto-claims.ts'
import { type IssuerKeySource, type IssuerKeys, openIssuerKeys } from './issuer-keys.ts'
import { type IssuerProfile, type IssuerProfileName, type ResolvedProfile, resolveProfile } from './issuer-profiles.ts'
import { createIssuerReader } from './issuer-token.ts'
import type { Claims, TokenReader } from './token-reader.ts'
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts'

/** An issuer whose tokens are accepted. */
export interface AcceptedIssuer {
  /** The exact `iss` of its tokens. */
  readonly issuer: string
  /** The `aud` of its tokens must contain this value; if there are several, one of them. */
  readonly audience: string | readonly string[]
  /**
   * Its public keys: `{ keys }`, or `{ uri, ca }` of its key set. With `{ ca }` or nothing, the issuer's metadata names the
   * set.
   */
  readonly jwks?: IssuerKeys
  /** The form of its tokens. Default `rfc9068`, which tlsbound issues. */
  readonly profile?: IssuerProfileName | IssuerProfile
}

/** One issuer, or several. */
export type AcceptedIssuers = AcceptedIssuer | { readonly issuers: readonly AcceptedIssuer[] }

/** An accepted issuer with its keys. */
interface KnownIssuer extends Expectations {
  readonly profile: ResolvedProfile
  readonly keys: IssuerKeySource
  readonly readToken: TokenReader
}

export const issuerRules: Rules = {
  issuer: { ...filledRule, expected: 'a non-empty string: the iss of the tokens' },
  audience: {
    expected: 'a non-empty string or a list of such strings: the name of this resource server',
    isValid: value => [value].flat().length > 0 && [value].flat().every(filledRule.isValid),
  },
}

/** Parsed where they are used. */
export const optionalIssuerRules: Rules = { jwks: anyRule, profile: anyRule }

/**
 * Returns the verifier of tokens of one issuer, or of several. `onWarning` is called with a message about ignored keys.
 * @throws TypeError that names the invalid option.
 */
export function createVerifierOfIssuers(
  options: AcceptedIssuers & { readonly isRevoked?: (claims: AccessTokenClaims) => boolean },
  onWarning: (message: string) => void,
): TokenVerifier {
  const { isRevoked } = options
  const issuers = new Map<unknown, KnownIssuer>()
  const add = (issuer: AcceptedIssuer) => {
    if (issuers.has(issuer.issuer)) throw new TypeError(`issuer ${issuer.issuer} is given twice`)
    issuers.set(issuer.issuer, openIssuer(issuer, onWarning))
  }
  if ('issuers' in options)
    for (const [index, issuer] of options.issuers.entries()) {
      const name = `issuers[${index}]`
      checkOptions(issuer, name, issuerRules, optionalIssuerRules)
      withPrefix(`${name}: `, () => add(issuer))
    }
  else add(options)
  const all = [...issuers.values()] as [KnownIssuer, ...KnownIssuer[]]
  const select = (iss: unknown): KnownIssuer => {
    const found = issuers.get(iss)
    if (found !== undefined) return found
    const expected = [...issuers.keys()].join(' ')
    throw new OAuthError('invalid_token', 'wrong_issuer', 'iss', { found: describeValue(iss), expected })
  }
  const [first] = all
  const { issuer, audience } = first
  return createTokenVerifier({
    ...{ issuer, audience },
    readToken: all.length === 1 ? first.readToken : token => select(readUnverifiedIssuer(token)).readToken(token),
    expectationsOf: all.length === 1 ? () => first : (claims: Claims) => select(claims.iss),
    schemes: [...new Set(all.flatMap(({ profile }) => profile.schemes))],
    ...(isRevoked && {
      findRevocation: (claims: AccessTokenClaims) =>
        requireAnswer(isRevoked(claims)) ? (['by_hook'] as const) : undefined,
    }),
    keyGeneration:
      all.length === 1 ? first.keys.generation : () => all.reduce((sum, { keys }) => sum + keys.generation(), 0),
    now: () => Date.now() / 1000,
  })
}

function openIssuer(
  { issuer, audience, jwks, profile: given }: AcceptedIssuer,
  onWarning: (message: string) => void,
): KnownIssuer {
  const profile = resolveProfile(given)
  const keys = openIssuerKeys(jwks, { issuer, algorithms: profile.algorithms, onWarning })
  const { maximumLifetime } = profile
  return {
    issuer,
    audience: [audience].flat(),
    maximumLifetime,
    profile,
    keys,
    readToken: createIssuerReader(profile, keys.find, issuer),
  }
}

/** Returns the answer of `isRevoked`. @throws TypeError for a promise, which would refuse every token as revoked. */
function requireAnswer(answer: unknown): unknown {
  if (!(answer instanceof Promise)) return answer
  answer.catch(() => {}) // an unhandled rejection would end the process
  throw new TypeError('isRevoked must return true or false from memory, not a promise')
}

function withPrefix(prefix: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    throw new TypeError(`${prefix}${(error as Error).message}`)
  }
}

/** Extracts `iss` of an unverified token. It only selects the issuer; that issuer's keys verify the token. */
function readUnverifiedIssuer(token: string): unknown {
  if (isPaseto(token)) return decodePaseto(token)?.claims.iss
  const payload = token.split('.')[1]
  return payload === undefined ? undefined : parseObject(Buffer.from(payload, 'base64url').toString())?.iss
}
