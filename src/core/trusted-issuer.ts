// Parses the list of external issuers whose tokens this server exchanges (RFC 8693). Every member is validated before use.
// Where their keys come from is only named here: files.ts reads, verify/issuer-keys.ts fetches.
import { isHttpsUrl } from './https-url.ts'

export interface TrustedIssuer {
  /** The exact `iss` of its tokens. */
  readonly issuer: string
  readonly keys: { readonly file: string } | { readonly uri: string; readonly caFile: string | undefined }
  /** The required value in `aud` of its tokens. */
  readonly audience: string
  readonly algorithms: readonly string[]
  /** The claim with the scope: `scope`, or `scp` for some issuers. */
  readonly scopeClaim: string
  /** Seconds after `iat` within which a token can be exchanged. */
  readonly maximumAge: number
  /** Prepended to `sub` in the issued tokens, so that the subjects of two issuers never collide. */
  readonly subjectPrefix: string
}

/** Asymmetric algorithms only, because a verifier must not be able to sign (RFC 8725 §3.1). */
export const outsideAlgorithms = [
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
]

const known = [
  ...['issuer', 'jwks_file', 'jwks_uri', 'ca_file', 'audience'],
  ...['algorithms', 'scope_claim', 'maximum_age', 'subject_prefix'],
]

/** Parses a list of external issuers. Appends one sentence to `problems` for each error. */
export function parseTrustedIssuers(list: unknown, ours: string, problems: string[]): TrustedIssuer[] {
  if (!Array.isArray(list)) {
    problems.push('the list of issuers must be a JSON array')
    return []
  }
  const issuers = list.flatMap((entry: unknown, index) => {
    const found: string[] = []
    const issuer = parseTrustedIssuer(entry, ours, found)
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

function parseTrustedIssuer(value: unknown, ours: string, problems: string[]): TrustedIssuer | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push('must be a JSON object')
    return undefined
  }
  const entry = value as Record<string, unknown>
  const { issuer, jwks_file: file, jwks_uri: uri, ca_file: caFile, audience } = entry
  const { algorithms = ['ES256', 'RS256', 'EdDSA'], scope_claim: scopeClaim = 'scope' } = entry
  const { maximum_age: maximumAge = 3600, subject_prefix: subjectPrefix = '' } = entry
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !known.includes(name))
      .map(name => `${name} is not known`),
    !isHttpsUrl(issuer) && 'issuer must be an https address',
    issuer === ours && 'issuer must not be this server; its tokens need no entry',
    (file === undefined) === (uri === undefined) && 'exactly one of jwks_file, jwks_uri must be given',
    file !== undefined && !isText(file) && 'jwks_file must be a path',
    uri !== undefined && !isHttpsUrl(uri) && 'jwks_uri must be an https address',
    caFile !== undefined && !isText(caFile) && 'ca_file must be a path',
    caFile !== undefined && uri === undefined && 'ca_file requires jwks_uri',
    !isText(audience) && 'audience must be a string',
    !isListOf(algorithms, outsideAlgorithms) && `algorithms must be a list of ${outsideAlgorithms.join(', ')}`,
    !isText(scopeClaim) && 'scope_claim must be the name of a claim',
    !isSeconds(maximumAge) && 'maximum_age must be seconds from 1 to 86400',
    (typeof subjectPrefix !== 'string' || !/^[\x20-\x7e]{0,64}$/.test(subjectPrefix)) &&
      'subject_prefix must have at most 64 printable ASCII characters',
  ].filter(sentence => sentence !== false)
  problems.push(...wrong)
  if (wrong.length > 0) return undefined
  return Object.freeze({
    issuer: issuer as string,
    keys: uri === undefined ? { file: file as string } : { uri: uri as string, caFile: caFile as string | undefined },
    audience: audience as string,
    algorithms: algorithms as string[],
    scopeClaim: scopeClaim as string,
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
