// Parses client registrations, with the members of RFC 7591 §2 and RFC 8705 §2. Every member is validated before use.
// Extensions of tlsbound: token_bindings (the first entry is the default), access_token_format, refresh_token_rotation,
// refresh_token_binding, theft_response, resource. tls_session_bound_access_tokens allows only proof (draft-mw-oauth-tls-session-bound-tokens §3.2).
import { hash, type JsonWebKey } from 'node:crypto'
import { isScope, parseScope } from './access-token.ts'
import { type TokenBinding, tokenBindings } from './confirmation.ts'
import { isHttpsUrl } from './https-url.ts'
import { agreesWith, parseKeyCertificate } from './key-certificate.ts'
import type { Rotation } from './refresh-token.ts'
import { atOnce, type Steps } from './steps.ts'
import { parseSubjectRule, type SubjectRule, subjectRules } from './subject-rule.ts'

/** client_secret_basic requires a secret in addition to a certificate as for tls_client_auth. */
export const authenticationMethods = ['tls_client_auth', 'self_signed_tls_client_auth', 'client_secret_basic'] as const

/** Returns whether clients of an authentication method send a secret besides their certificate. */
export function usesSecret({ method }: Pick<Client, 'method'>): boolean {
  return method === 'client_secret_basic'
}

export const grantTypes = [
  'client_credentials',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:token-exchange',
] as const

/** The response when a valid token is presented by another party. Each response includes the ones before it. */
export const theftResponses = ['record', 'alert', 'revoke_token', 'revoke_grant', 'close'] as const

/**
 * What a refresh token is bound to (RFC 8705 §7.1). `certificate`: the certificate that it was issued to. `client`: any certificate
 * that authenticates as the client, so that the token survives a renewal.
 */
export const refreshTokenBindings = ['certificate', 'client'] as const

export type RefreshTokenBinding = (typeof refreshTokenBindings)[number]

/** The formats of access tokens. */
export const tokenFormats = ['jwt', 'opaque', 'paseto'] as const

export type TokenFormat = (typeof tokenFormats)[number]

export type TheftResponse = (typeof theftResponses)[number]

export type GrantType = (typeof grantTypes)[number]

export interface Client {
  readonly id: string
  readonly method: (typeof authenticationMethods)[number]
  /** The name that a certificate from a trusted authority must have. */
  readonly subject: SubjectRule | undefined
  /** `x5t#S256` of the registered certificates, for self_signed_tls_client_auth. */
  readonly certificates: ReadonlySet<string>
  readonly scope: ReadonlySet<string>
  readonly grantTypes: ReadonlySet<GrantType>
  /** The first is the default. */
  readonly bindings: readonly [TokenBinding, ...TokenBinding[]]
  readonly format: TokenFormat
  readonly rotation: Rotation
  readonly refreshTokenBinding: RefreshTokenBinding
  readonly theftResponse: TheftResponse
  /** The audience of the resource server that this client is; it may introspect the tokens for this audience. */
  readonly resource: string | undefined
}

export type Clients = ReadonlyMap<string, Client>

/** Registrations as they are written, and their clients: those of a file are parsed once. */
export interface ParsedRegistrations {
  readonly list: readonly object[]
  readonly clients: Clients
}

/** Registrations that are parsed already, or are to be parsed. */
export type Registrations = readonly object[] | ParsedRegistrations

/** Parses what is not parsed already. `audience`: that of this server. @throws TypeError naming every problem. */
export function parseRegistrations(registrations: Registrations, audience?: string): ParsedRegistrations {
  return atOnce(parseRegistrationsInSteps(registrations, audience))
}

/** `parseRegistrations` in steps. */
export function* parseRegistrationsInSteps(
  registrations: Registrations,
  audience?: string,
): Steps<ParsedRegistrations> {
  if ('list' in registrations) return registrations
  const problems: string[] = []
  const clients = yield* parseClientsInSteps(registrations, problems, audience)
  if (problems.length > 0) throw new TypeError(problems.join('\n'))
  return { list: registrations, clients }
}

/** Returns registrations as they are written. */
export function listOf(registrations: Registrations): readonly object[] {
  return 'list' in registrations ? registrations.list : registrations
}

/**
 * Parses a list of registrations. Appends one sentence to `problems` for each error. `audience`: that of the server itself, which
 * no registration may spell in another way.
 */
export function parseClients(list: unknown, problems: string[], audience?: string): Clients {
  return atOnce(parseClientsInSteps(list, problems, audience))
}

/** Registrations of one step. */
const portion = 128

/** `parseClients` in steps. */
export function* parseClientsInSteps(list: unknown, problems: string[], audience?: string): Steps<Clients> {
  const clients = new Map<string, Client>()
  /** The first client with each identifying mark. */
  const owners = new Map<string, string>()
  const targets = indexTargets([], audience)
  if (!Array.isArray(list)) {
    problems.push('the list of clients must be a JSON array')
    return clients
  }
  for (const [index, registration] of list.entries()) {
    if (index % portion === portion - 1) yield
    const client = parseClient(registration, sentence =>
      problems.push(`client ${nameOf(registration, index)}: ${sentence}`),
    )
    if (client === undefined) continue
    if (clients.has(client.id)) problems.push(`client ${client.id}: registered twice`)
    const marks = marksOf(client)
    const rival = marks.map(mark => owners.get(mark)).find(owner => owner !== undefined && owner !== client.id)
    if (rival !== undefined) problems.push(`client ${client.id}: one certificate would match ${rival} as well`)
    for (const mark of marks) if (!owners.has(mark)) owners.set(mark, client.id)
    const spelling = findOtherSpelling(client, targets)
    if (spelling !== undefined) problems.push(`client ${client.id}: ${spelling}`)
    addTarget(client, targets)
    clients.set(client.id, client)
  }
  return clients
}

/** Finds another client that the same certificate would match. */
export function findRival(client: Client, clients: Clients): Client | undefined {
  const marks = new Set(marksOf(client))
  return [...clients.values()].find(other => other.id !== client.id && marksOf(other).some(mark => marks.has(mark)))
}

/** The first spelling of each target, and what it belongs to. */
type Targets = Map<string, { readonly spelling: string; readonly of: string }>

/** Indexes the targets of a server: its own audience, and those of its clients. */
export function indexTargets(clients: Iterable<Client>, audience: string | undefined): Targets {
  const targets: Targets = new Map()
  if (audience !== undefined) targets.set(targetOf(audience), { spelling: audience, of: 'the audience of this server' })
  for (const client of clients) addTarget(client, targets)
  return targets
}

function addTarget({ id, resource }: Client, targets: Targets): void {
  if (resource === undefined || targets.has(targetOf(resource))) return
  targets.set(targetOf(resource), { spelling: resource, of: `the resource of client ${id}` })
}

/**
 * Returns a sentence when the resource of a client is another spelling of a known target (RFC 3986 §6.2.3): a request could mean
 * either, and its token would be for one of them only.
 */
export function findOtherSpelling({ resource }: Client, targets: Targets): string | undefined {
  const known = resource === undefined ? undefined : targets.get(targetOf(resource))
  if (known === undefined || known.spelling === resource) return undefined
  return `resource ${resource} is another spelling of ${known.spelling}, ${known.of}; write both alike`
}

/** Returns a URL in the form that its other spellings have too: an empty path is `/`, and a default port is absent. */
function targetOf(resource: string): string {
  return new URL(resource).href
}

/** Returns the names and thumbprints by which a certificate identifies the client. */
export function marksOf({ subject, certificates }: Pick<Client, 'subject' | 'certificates'>): string[] {
  return subject === undefined ? [...certificates] : [JSON.stringify(subject), ...certificates]
}

/** The members that a registration may have. */
export const registrationMembers: ReadonlySet<string> = new Set([
  ...['client_id', 'client_name', 'token_endpoint_auth_method', 'scope', 'grant_types', 'token_bindings', 'jwks'],
  ...['access_token_format', 'refresh_token_rotation', 'theft_response', 'resource', 'tls_session_bound_access_tokens'],
  ...['tls_client_certificate_bound_access_tokens', 'refresh_token_binding'],
  ...subjectRules.map(type => `tls_client_auth_${type}`),
])

/** Parses one registration. Calls `problem` for each error. */
export function parseClient(registration: unknown, problem: (sentence: string) => void): Client | undefined {
  if (typeof registration !== 'object' || registration === null || Array.isArray(registration)) {
    problem('must be a JSON object')
    return undefined
  }
  const entry = registration as Record<string, unknown>
  const {
    client_id: id,
    token_endpoint_auth_method: method,
    scope = '',
    grant_types: grants = usualGrants,
    tls_client_certificate_bound_access_tokens: certificateBound = true,
    tls_session_bound_access_tokens: proofOnly = false,
    token_bindings: bindings = proofOnly === true ? ['proof'] : usualBindings,
    access_token_format: format = 'jwt',
    refresh_token_rotation: rotation = 'rotate',
    // A self-signed certificate is registered itself: with another one, the registration changes.
    refresh_token_binding: refreshTokenBinding = method === 'self_signed_tls_client_auth' ? 'certificate' : 'client',
    theft_response: theftResponse = 'alert',
    resource,
  } = entry
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !registrationMembers.has(name))
      .map(name => `${name} is not known${name === 'client_secret' ? describeSecrets(method) : ''}`),
    (typeof id !== 'string' || !/^(?!\.{1,2}$)[\x20-\x7e]{1,128}$/.test(id)) &&
      'client_id must have 1 to 128 printable ASCII characters, and must not be . or .., which URLs cannot contain',
    !isOneOf(method, authenticationMethods) &&
      `token_endpoint_auth_method must be one of ${authenticationMethods.join(', ')}`,
    !isScope(scope) && 'scope must be a list of unique values separated by single spaces',
    !isListOf(grants, grantTypes) && `grant_types must be a list of ${grantTypes.join(', ')}`,
    !isListOf(bindings, tokenBindings) && `token_bindings must be a list of ${tokenBindings.join(', ')}`,
    certificateBound !== true && 'tls_client_certificate_bound_access_tokens must be true',
    typeof proofOnly !== 'boolean' && 'tls_session_bound_access_tokens must be true or false',
    proofOnly === true &&
      String(bindings) !== 'proof' &&
      'token_bindings must be ["proof"] when tls_session_bound_access_tokens is true',
    !isOneOf(format, tokenFormats) && `access_token_format must be one of ${tokenFormats.join(', ')}`,
    !isOneOf(rotation, ['rotate', 'static']) && 'refresh_token_rotation must be rotate or static',
    !isOneOf(refreshTokenBinding, refreshTokenBindings) && 'refresh_token_binding must be certificate or client',
    !isOneOf(theftResponse, theftResponses) && `theft_response must be one of ${theftResponses.join(', ')}`,
    resource !== undefined &&
      !isHttpsUrl(resource) &&
      'resource must be an https URL without user information and fragment',
  ].filter(sentence => sentence !== false)
  wrong.forEach(problem)
  const identity =
    method === 'self_signed_tls_client_auth' ? parseCertificates(entry, problem) : parseSubject(entry, problem)
  if (wrong.length > 0 || identity === undefined) return undefined
  return Object.freeze({
    id: id as string,
    method: method as Client['method'],
    ...identity,
    scope: parseScopeSet(scope as string),
    grantTypes: grants === usualGrants ? usualGrantSet : new Set(grants as GrantType[]),
    bindings: bindings as [TokenBinding],
    format: format as Client['format'],
    rotation: rotation as Rotation,
    refreshTokenBinding: refreshTokenBinding as RefreshTokenBinding,
    theftResponse: theftResponse as TheftResponse,
    resource: resource as string | undefined,
  })
}

// Shared by all clients that have them: those of 10⁵ clients take a tenth of the time and memory of their registrations.
const usualGrants: readonly GrantType[] = ['client_credentials']
const usualGrantSet: ReadonlySet<GrantType> = new Set(usualGrants)
const usualBindings: readonly TokenBinding[] = Object.freeze(['connection'])

let lastScope: { readonly text: string; readonly values: ReadonlySet<string> } = { text: '', values: new Set() }

/** Returns the same set as for the registration before, if the scope is the same. */
function parseScopeSet(text: string): ReadonlySet<string> {
  if (text !== lastScope.text) lastScope = { text, values: new Set(parseScope(text)) }
  return lastScope.values
}

function describeSecrets(method: unknown): string {
  if (method === 'client_secret_basic')
    return ': a registration contains no secret; tlsbound clients add-secret creates one'
  return ': a client authenticates with its certificate, and only client_secret_basic uses a secret besides'
}

type Identity = Pick<Client, 'subject' | 'certificates'>

const noCertificates: Client['certificates'] = new Set()

function parseSubject(entry: Record<string, unknown>, problem: (sentence: string) => void): Identity | undefined {
  const [type, ...others] = subjectRules.filter(name => entry[`tls_client_auth_${name}`] !== undefined)
  if (type === undefined || others.length > 0 || entry.jwks !== undefined) {
    problem(`exactly one of ${subjectRules.map(name => `tls_client_auth_${name}`).join(', ')} must be given`)
    return undefined
  }
  const name = `tls_client_auth_${type}`
  const subject = parseSubjectRule(type, entry[name], sentence => problem(`${name} ${sentence}`))
  return subject && { subject, certificates: noCertificates }
}

/** RFC 8705 §2.2.2: each certificate is the first entry of `x5c` of its key. */
function parseCertificates(entry: Record<string, unknown>, problem: (sentence: string) => void): Identity | undefined {
  const rules = subjectRules.some(name => entry[`tls_client_auth_${name}`] !== undefined)
  const keys = (entry.jwks as { keys?: unknown } | null | undefined)?.keys
  const certificates = Array.isArray(keys) ? keys.map(parseKeyCertificate) : []
  const read = certificates.filter(certificate => certificate !== undefined)
  if (rules || read.length === 0 || read.length < certificates.length)
    problem('jwks must contain keys with a certificate in x5c, and tls_client_auth_… members are not allowed')
  else if (!read.every((certificate, index) => agreesWith((keys as JsonWebKey[])[index] as JsonWebKey, certificate)))
    problem('a key in jwks differs from the key of its certificate in x5c (RFC 7517 §4.7)')
  else return { subject: undefined, certificates: new Set(read.map(({ raw }) => hash('sha256', raw, 'base64url'))) }
  return undefined
}

function isOneOf(value: unknown, allowed: readonly string[]): boolean {
  return allowed.includes(value as string)
}

function isListOf(value: unknown, allowed: readonly string[]): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(entry => isOneOf(entry, allowed)) &&
    (value.length === 1 || new Set(value).size === value.length)
  )
}

function nameOf(registration: unknown, index: number): string {
  const id = (registration as { client_id?: unknown } | null)?.client_id
  return typeof id === 'string' ? JSON.stringify(id) : `number ${index + 1}`
}
