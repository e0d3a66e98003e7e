// Parses the list of external issuers whose tokens this server exchanges (RFC 8693). Every member is validated before use.
// Where their keys come from is only named here: files.ts reads, verify/issuer-keys.ts fetches.
import { isHttpsUrl } from './https-url.ts'

export interface TrustedIssuer {
  /** The exact `iss` of its tokens. */
  readonly issuer: string
  /** A file, or an address; without either, the issuer's metadata names the address. */
  readonly keys: { readonly file: string } | { readonly uri: string | undefined; readonly caFile: string | undefined }
  /** The required value in `aud` of its tokens. */
  readonly audience: string
  /** The name of the profile that its access tokens must have the form of. */
  readonly profile: string | undefined
  readonly algorithms: readonly string[]
  /** The claims that may contain the scope, in order of precedence. */
  readonly scopeClaims: readonly string[]
  /** Seconds after `iat` within which a token can be exchanged. */
  readonly maximumAge: number
  /** Prepended to `sub` in the issued tokens, so that the subjects of two issuers never collide. */
  readonly subjectPrefix: string
}

/** What a profile says about the tokens of an issuer; verify/issuer-profiles.ts has all of it. */
export type KnownProfile = Pick<TrustedIssuer, 'algorithms' | 'scopeClaims'>

/** What the entries of a list are checked against. */
export interface TrustedIssuerContext {
  /** The issuer name of this server. */
  readonly ours: string
  readonly profiles: Readonly<Record<string, KnownProfile>>
}

/** Asymmetric algorithms only, because a verifier must not be able to sign (RFC 8725 §3.1). */
export const outsideAlgorithms = [
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
]

const known = [
  ...['issuer', 'jwks_file', 'jwks_uri', 'ca_file', 'audience'],
  ...['profile', 'algorithms', 'scope_claim', 'maximum_age', 'subject_prefix'],
]

/** Parses a list of external issuers. Appends one sentence to `problems` for each error. */
export function parseTrustedIssuers(list: unknown, context: TrustedIssuerContext, problems: string[]): TrustedIssuer[] {
  if (!Array.isArray(list)) {
    problems.push('the list of issuers must be a JSON array')
    return []
  }
  const issuers = list.flatMap((entry: unknown, index) => {
    const found: string[] = []
    const issuer = parseTrustedIssuer(entry, context, found)
    const name = issuer?.issuer ?? (entry as { issuer?: unknown } | null)?.issuer
    for (const problem of found)
      problems.push(`issuer ${typeof name === 'string' ? JSON.stringify(name) : `number ${index + 1}`}: ${problem}`)
    return issuer ?? []
  })
  issuers.forEach(({ issuer, subjectPrefix }, index) => {
    const others = issuers.toSpliced(index, 1)
    if (issuers.findIndex(other => other.issuer === issuer) < index)
      problems.push(`issuer ${JSON.stringify(issuer)}: listed twice`)
    else if (others.some(other => other.issuer !== issuer && other.subjectPrefix.startsWith(subjectPrefix)))
      problems.push(
        `issuer ${JSON.stringify(issuer)}: subject_prefix is required, and must not be a prefix of another one`,
      )
  })
  return issuers
}

function parseTrustedIssuer(
  value: unknown,
  { ours, profiles }: TrustedIssuerContext,
  problems: string[],
): TrustedIssuer | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push('must be a JSON object')
    return undefined
  }
  const entry = value as Record<string, unknown>
  const { issuer, jwks_file: file, jwks_uri: uri, ca_file: caFile, audience } = entry
  const { profile, scope_claim: scopeClaim } = entry
  const form = typeof profile === 'string' && Object.hasOwn(profiles, profile) ? profiles[profile] : undefined
  // No PASETO is exchanged, which a profile may allow.
  const ofProfile = form?.algorithms.filter(name => outsideAlgorithms.includes(name))
  const { algorithms = ofProfile ?? ['ES256', 'RS256', 'EdDSA'] } = entry
  const { maximum_age: maximumAge = 3600, subject_prefix: subjectPrefix = '' } = entry
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !known.includes(name))
      .map(name => `${name} is not known`),
    !isHttpsUrl(issuer) && 'issuer must be an https address',
    issuer === ours && 'issuer must not be this server; its tokens need no entry',
    file !== undefined && uri !== undefined && 'jwks_file and jwks_uri exclude each other',
    [file, uri].every(value => value === undefined) &&
      isHttpsUrl(issuer) &&
      new URL(issuer).search !== '' &&
      'jwks_file or jwks_uri is required, since an issuer with a query has no address of metadata',
    file !== undefined && !isText(file) && 'jwks_file must be a path',
    uri !== undefined && !isHttpsUrl(uri) && 'jwks_uri must be an https address',
    caFile !== undefined && !isText(caFile) && 'ca_file must be a path',
    caFile !== undefined && file !== undefined && 'ca_file and jwks_file exclude each other',
    !isText(audience) && 'audience must be a string',
    profile !== undefined && form === undefined && `profile must be one of ${Object.keys(profiles).join(', ')}`,
    profile !== undefined && scopeClaim !== undefined && 'scope_claim and profile exclude each other',
    !isListOf(algorithms, outsideAlgorithms) && `algorithms must be a list of ${outsideAlgorithms.join(', ')}`,
    scopeClaim !== undefined && !isText(scopeClaim) && 'scope_claim must be the name of a claim',
    !isSeconds(maximumAge) && 'maximum_age must be seconds from 1 to 86400',
    (typeof subjectPrefix !== 'string' || !/^[\x20-\x7e]{0,64}$/.test(subjectPrefix)) &&
      'subject_prefix must have at most 64 printable ASCII characters',
  ].filter(sentence => sentence !== false)
  problems.push(...wrong)
  if (wrong.length > 0) return undefined
  return Object.freeze({
    issuer: issuer as string,
    keys:
      file === undefined
        ? { uri: uri as string | undefined, caFile: caFile as string | undefined }
        : { file: file as string },
    audience: audience as string,
    profile: profile as string | undefined,
    algorithms: algorithms as string[],
    scopeClaims: form?.scopeClaims ?? [(scopeClaim as string | undefined) ?? 'scope'],
    maximumAge: maximumAge as number,
    subjectPrefix: subjectPrefix as string,
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isListOf(value: unknown, allowed: readonly string[]): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(entry => allowed.includes(entry as string))
}

function isSeconds(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 86_400
}
