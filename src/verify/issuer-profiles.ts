// The form of an issuer's access tokens: strict RFC 9068, or the variant of an identity provider. Every profile requires
// and verifies `cnf`, rejects `crit`, and ignores other header members.
import { maximumLifetime } from '../core/access-token.ts'
import { checkOptions, filledRule, type Rule, type Rules } from '../core/check-options.ts'
import { pasetoVersion } from '../core/paseto.ts'
import { type IssuerAlgorithm, issuerAlgorithms } from '../keys/key-set.ts'

export interface IssuerProfile {
  /** Accepted values of the header's `typ`, in lower case, without `application/`. `undefined` accepts a missing `typ`. */
  readonly types: readonly (string | undefined)[]
  /** Default: every asymmetric algorithm of JOSE. With `v4.public` in the list, PASETO in the form of tlsbound are accepted too. */
  readonly algorithms?: readonly IssuerAlgorithm[]
  /** Claims that may name the client, in order of precedence. Default: `client_id`. */
  readonly clientClaim?: string | readonly string[]
  /** Claims that may contain the scope, as a string or a list, in order of precedence. Default: `scope`. */
  readonly scopeClaim?: string | readonly string[]
  /** The claim that identifies the token. Default: `jti`. */
  readonly idClaim?: string
  /**
   * Claims that may be absent. A missing `sub` becomes the client, a missing id a hash of the token, a missing scope the
   * empty scope. Default: `scope`.
   */
  readonly optional?: readonly ('sub' | 'iat' | 'id' | 'scope')[]
  /** Authorization schemes accepted besides Bearer. Default: none. */
  readonly schemes?: readonly string[]
  /** Maximum lifetime of a token in seconds. Default 86400. */
  readonly maximumLifetime?: number
  /** Maximum length of a token in characters. Default 8192. */
  readonly maximumLength?: number
}

/** Every algorithm that can sign a JWT. */
const joseAlgorithms = (Object.keys(issuerAlgorithms) as IssuerAlgorithm[]).filter(name => name !== pasetoVersion)

const anyJwt = ['at+jwt', 'jwt', undefined] as const

/** The built-in profiles. test/verify/issuer-profiles.test.ts verifies each with a token in the form of its issuer. */
export const issuerProfiles = {
  /** Strict RFC 9068; tlsbound issues this form, and PASETO, which are accepted if the issuer publishes a key for them. */
  rfc9068: { types: ['at+jwt'], algorithms: Object.keys(issuerAlgorithms) as IssuerAlgorithm[] },
  /** Keycloak, with its default token type or with `at+jwt` enabled. */
  keycloak: { types: ['jwt', 'at+jwt'], clientClaim: ['client_id', 'azp'] },
  /** Auth0, with its own token profile or its RFC 9068 profile. Its APIs may issue tokens for 30 days. */
  auth0: {
    types: ['jwt', 'at+jwt'],
    clientClaim: ['client_id', 'azp'],
    optional: ['id', 'scope'],
    maximumLifetime: 2_592_000,
  },
  okta: {
    types: ['jwt', undefined, 'okta-internal-at+jwt'],
    clientClaim: 'cid',
    scopeClaim: 'scp',
  },
  /** Microsoft Entra ID, token versions 1 and 2, as Bearer or mtls_pop. An application's scope is in `roles`. */
  entra: {
    types: ['jwt'],
    clientClaim: ['azp', 'appid'],
    scopeClaim: ['scp', 'roles'],
    idClaim: 'uti',
    schemes: ['mtls_pop'],
  },
  pingfederate: { types: ['at+jwt', 'jwt', undefined], optional: ['sub', 'iat', 'scope'] },
  /** PingAM and ForgeRock: the client is the subject. */
  pingam: { types: ['jwt'], clientClaim: ['client_id', 'subname', 'sub'] },
  duende: { types: ['at+jwt'], optional: ['sub', 'scope'] },
  /** Spring Authorization Server: in a machine's token, the client is the subject. */
  spring: { types: anyJwt, clientClaim: ['client_id', 'sub'] },
  hydra: { types: ['jwt'], scopeClaim: ['scope', 'scp'] },
  curity: { types: anyJwt, clientClaim: ['client_id', 'azp', 'sub'] },
  'node-oidc-provider': { types: ['at+jwt'] },
} as const satisfies Readonly<Record<string, IssuerProfile>>

export type IssuerProfileName = keyof typeof issuerProfiles

/** A profile with defaults applied. */
export interface ResolvedProfile {
  readonly name: string
  readonly types: readonly (string | undefined)[]
  readonly algorithms: readonly IssuerAlgorithm[]
  readonly clientClaims: readonly string[]
  readonly scopeClaims: readonly string[]
  readonly idClaim: string
  readonly optional: readonly string[]
  readonly schemes: readonly string[]
  readonly maximumLifetime: number
  readonly maximumLength: number
}

/** Returns the rule of a list whose entries are all valid. */
function listOf(expected: string, isEntry: (value: unknown) => boolean, fewest = 0): Rule {
  return { expected, isValid: value => Array.isArray(value) && value.length >= fewest && value.every(isEntry) }
}

/** Returns the rule of a positive integer. */
function countOf(unit: string, most: number): Rule {
  const isValid = (value: unknown) => Number.isInteger(value) && (value as number) > 0 && (value as number) <= most
  return { expected: `${unit}, at most ${most}`, isValid }
}

const isName = filledRule.isValid
const claimNames: Rule = {
  expected: 'the name of a claim, or a list of names',
  isValid: value => [value].flat().every(isName),
}

const requiredMembers: Rules = {
  types: listOf(
    'a list of at least one typ, in lower case and without application/ at the start',
    entry => entry === undefined || isName(entry),
    1,
  ),
}

const optionalMembers: Rules = {
  algorithms: listOf(
    `a list of ${Object.keys(issuerAlgorithms).join(', ')}`,
    entry => Object.hasOwn(issuerAlgorithms, entry as string),
    1,
  ),
  clientClaim: claimNames,
  scopeClaim: claimNames,
  idClaim: { ...filledRule, expected: 'the name of a claim' },
  optional: listOf('a list of sub, iat, id, scope', entry => ['sub', 'iat', 'id', 'scope'].includes(entry as string)),
  schemes: listOf('a list of schemes of the Authorization header', entry =>
    /^[!#$%&'*+.^_`|~\w-]+$/.test(entry as string),
  ),
  maximumLifetime: countOf('seconds', 31_536_000),
  maximumLength: countOf('characters', 16_384),
}

/** Every built-in profile with defaults applied, by its name. */
export const resolvedProfiles = Object.fromEntries(
  Object.entries<IssuerProfile>(issuerProfiles).map(([name, profile]) => [name, fill(profile, name)]),
) as Readonly<Record<IssuerProfileName, ResolvedProfile>>

/** Applies the defaults to a profile. @throws TypeError that names the invalid member. */
export function resolveProfile(given: IssuerProfileName | IssuerProfile = 'rfc9068'): ResolvedProfile {
  if (typeof given === 'string') {
    if (!Object.hasOwn(issuerProfiles, given))
      throw new TypeError(`profile must be one of ${Object.keys(issuerProfiles).join(', ')}, or an object`)
    return resolvedProfiles[given]
  }
  checkOptions(given, 'profile', requiredMembers, optionalMembers)
  return fill(given, 'own')
}

function fill(profile: IssuerProfile, name: string): ResolvedProfile {
  return {
    name,
    types: profile.types,
    algorithms: profile.algorithms ?? joseAlgorithms,
    clientClaims: [profile.clientClaim ?? 'client_id'].flat(),
    scopeClaims: [profile.scopeClaim ?? 'scope'].flat(),
    idClaim: profile.idClaim ?? 'jti',
    optional: profile.optional ?? ['scope'],
    schemes: (profile.schemes ?? []).map(scheme => scheme.toLowerCase()),
    maximumLifetime: profile.maximumLifetime ?? maximumLifetime,
    maximumLength: profile.maximumLength ?? 8192,
  }
}
