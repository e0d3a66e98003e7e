// The verifier for any Node server: verifies the token of a request. The plugins (plugins/) adapt it to frameworks.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Server } from 'node:tls'
import { isAsyncFunction } from 'node:util/types'
import type { AccessToken, AccessTokenClaims, Expectations } from '../core/access-token.ts'
import {
  anyRule,
  checkOptions,
  filledRule,
  functionRule,
  isObject,
  type Rule,
  type Rules,
} from '../core/check-options.ts'
import { parseObject } from '../core/compact-jws.ts'
import { describeValue } from '../core/describe-value.ts'
import { OAuthError } from '../core/errors.ts'
import { isPaseto } from '../core/paseto.ts'
import { decodePaseto } from '../core/paseto-claims.ts'
import { whenReady } from '../core/when-ready.ts'
import { findConnection, inspectTlsServer } from '../tls/adopt.ts'
import type { Connection } from '../tls/connection.ts'
import { keepRecheck } from '../tls/forwarded-requests.ts'
import { refuseSecondToken } from './bearer.ts'
import { onContentRefused } from './content-guard.ts'
import { checkDemand, createDemands, demandRules, requireDemand, type TokenDemand } from './demand.ts'
import { type IssuerKeySource, type IssuerKeys, openIssuerKeys } from './issuer-keys.ts'
import { type IssuerProfile, type IssuerProfileName, type ResolvedProfile, resolveProfile } from './issuer-profiles.ts'
import { createIssuerReader } from './issuer-token.ts'
import { buildRefusal, type RefusalAnswer } from './refusal.ts'
import { describeToken } from './token-facts.ts'
import type { Claims, TokenReader } from './token-reader.ts'
import { createTokenVerifier, type TokenVerifier } from './token-verifier.ts'
import { type NodeResponse, writeRefusal } from './write-refusal.ts'

/** A request of `http`, `https` or `http2`, or an upgrade request. */
export type NodeRequest = IncomingMessage | Http2ServerRequest

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

export interface VerifierSettings extends TokenDemand {
  /** URL of the protected resource's metadata, for the challenge (RFC 9728 §5.1). */
  readonly resourceMetadata?: string
  /**
   * Returns whether a token is revoked. Called on every request, so it must answer from memory: an async function is rejected.
   * Default: no token is revoked.
   */
  readonly isRevoked?: (claims: AccessTokenClaims) => boolean
  /** Is called for every refusal, before the promise of `verify` rejects. */
  readonly onRefusal?: (request: NodeRequest, refusal: OAuthError, status: number) => void
  /** Is called with a message about ignored keys or unsafe TLS settings. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void
}

/** One issuer, or several as `issuers`. */
export type VerifierOptions = VerifierSettings & (AcceptedIssuer | { readonly issuers: readonly AcceptedIssuer[] })

export interface Verifier {
  /**
   * Verifies the token of a request: signature, issuer, audience, times and binding. Every token is bound to the client
   * certificate; at the levels connection and proof, it is also bound to the TLS connection. `demand` replaces members of
   * the demand in the options.
   * If the request is signed and its body differs from its digest, its stream fails later with an OAuthError.
   * @throws OAuthError (rejects) with the reason; pass it to `sendRefusal`.
   */
  verify(request: NodeRequest, demand?: TokenDemand): Promise<AccessToken>
  /**
   * Returns the response to a refusal, for servers that write it themselves. @throws `error` itself if it is not an
   * OAuthError.
   */
  describeRefusal(error: unknown, request?: NodeRequest): RefusalAnswer
  /**
   * Sends the response to a refusal. For an upgrade request, `response` is its socket. @throws `error` itself if it is not
   * an OAuthError.
   */
  sendRefusal(response: NodeResponse, error: unknown): void
}

/** Creates a verifier. @throws TypeError that names the invalid option. */
export function createVerifier(options: VerifierOptions): Verifier {
  const check = createTokenCheck(options)
  const { onRefusal, resourceMetadata } = options
  const describeRefusal: Verifier['describeRefusal'] = (error, request) => {
    if (!(error instanceof OAuthError)) throw error
    const authorization = request?.headers.authorization
    return buildRefusal(error, { authorization, resourceMetadata, challenge: true })
  }
  /** The body of a request is refused while it is read, so that no promise of `verify` can reject any more. */
  const reportLate = (request: NodeRequest, refusal: OAuthError) => {
    const result: unknown = onRefusal?.(request, refusal, describeRefusal(refusal, request).status)
    if (result instanceof Promise)
      result.catch((error: Error) => (options.onWarning ?? warnProcess)(`onRefusal rejected: ${error.message}`))
  }
  const accept = (token: AccessToken, request: NodeRequest, demand: TokenDemand | undefined) => {
    if ((demand?.proof ?? options.proof) === 'signed-request')
      onContentRefused(request, refusal => reportLate(request, refusal), onRefusal)
    return token
  }
  const refuse = async (error: unknown, request: NodeRequest): Promise<never> => {
    // Awaited, so that the rejection of an async listener is that of this request and ends nothing else.
    if (error instanceof OAuthError) await onRefusal?.(request, error, describeRefusal(error, request).status)
    throw error
  }
  const verifyNow: VerifyNow = (request, demand) =>
    whenReady<AccessToken, AccessToken | Promise<never>>(
      () => check(request, demand),
      token => accept(token, request, demand),
      error => refuse(error, request),
    )
  const verify: Verifier['verify'] = async (request, demand) => verifyNow(request, demand)
  immediate.set(verify, verifyNow)
  return {
    verify,
    describeRefusal,
    sendRefusal: (response, error) => {
      const request = 'req' in response ? response.req : undefined
      writeRefusal(response, describeRefusal(error, request))
    },
  }
}

/** As `verify`, but returns a promise only if a fetch or a store lookup is needed, and for a refusal. Never throws. */
type VerifyNow = (request: NodeRequest, demand?: TokenDemand) => AccessToken | Promise<AccessToken>

/** By its `verify`, so that a wrapper with a `verify` of its own is called like any other function. */
const immediate = new WeakMap<Verifier['verify'], VerifyNow>()

/** What an adapter needs of a verifier. */
export interface AdapterVerifier extends Pick<Verifier, 'describeRefusal' | 'sendRefusal'> {
  readonly verifyNow: VerifyNow
}

/**
 * Returns what an adapter needs of a verifier, or of a new one with these options. Checks the demand that `verifyNow` is called with.
 * @throws TypeError that names the invalid option.
 */
export function toAdapterVerifier(given: Verifier | VerifierOptions, demand: TokenDemand | undefined): AdapterVerifier {
  if (demand !== undefined) checkDemand(demand, 'demand')
  const verifier = isObject(given) && 'verify' in given ? given : createVerifier(given)
  const { verify, describeRefusal, sendRefusal } = verifier
  // The result of another function is awaited: `instanceof Promise` does not recognize every promise.
  const verifyNow = immediate.get(verify) ?? (async (request, demand) => verify(request, demand))
  return { verifyNow, describeRefusal, sendRefusal }
}

/** Verifies the token of a request. Returns a promise only if a fetch or a store lookup is needed for its first use. */
export interface TokenCheck {
  (request: NodeRequest, demand?: TokenDemand): AccessToken | Promise<AccessToken>
  /** Verifies again the token of a request that goes on (token-verifier.ts). @throws OAuthError (or rejects) */
  recheck(request: NodeRequest, token: AccessToken, mayWait?: boolean): void | Promise<void>
}

/** The options of a verifier, or those of a server that passes its own token verifier. Each adapter calls `onRefusal` itself. */
export type TokenCheckOptions = Omit<VerifierSettings, 'onRefusal'> & { readonly onRefusal?: unknown } & (
    | AcceptedIssuer
    | { readonly issuers: readonly AcceptedIssuer[] }
    | { readonly verifier: TokenVerifier }
  )

/**
 * Creates the check that a verifier and the Fastify plugin share. `adapterRules`: further options of the adapter.
 * @throws TypeError that names the invalid option.
 */
export function createTokenCheck(options: TokenCheckOptions, adapterRules: Rules = {}): TokenCheck {
  checkVerifierOptions(options, adapterRules)
  const demandOf = createDemands(options)
  const verifier = 'verifier' in options ? options.verifier : createVerifierOf(options)
  const inspected = new WeakSet<Server>()
  const warn = options.onWarning ?? warnProcess
  const inspect = (server: Server | undefined) => {
    if (server === undefined || inspected.has(server)) return
    inspected.add(server)
    for (const warning of inspectTlsServer(server)) warn(warning)
  }
  const check = (request: NodeRequest, route?: TokenDemand) => {
    const demand = demandOf(route)
    const connection = findConnection(request, inspect)
    const accept = (token: AccessToken) => {
      requireDemand(token, demand)
      if (demand.proof === 'signed-request')
        onContentRefused(request, refusal => {
          refusal.token = describeToken({ ...token.claims })
        })
      if (connection !== undefined) connection.counts.accepted[token.binding]++
      if (connection?.forwarded !== undefined)
        keepRecheck(request, mayWait => verifier.recheck(request, token, connection, mayWait))
      return token
    }
    refuseSecondToken(request)
    return whenReady(() => verifier.verify(request, connection, demand.proof), accept)
  }
  const recheck: TokenCheck['recheck'] = (request, token, mayWait) =>
    verifier.recheck(request, token, findConnection(request, inspect) as Connection, mayWait)
  return Object.assign(check, { recheck })
}

/** An accepted issuer with its keys. */
interface KnownIssuer extends Expectations {
  readonly profile: ResolvedProfile
  readonly keys: IssuerKeySource
  readonly readToken: TokenReader
}

const settingRules: Rules = {
  ...demandRules,
  resourceMetadata: {
    // It is part of a header field of each refusal, where another character would make that a 500.
    expected: 'an https URL',
    isValid: value => typeof value === 'string' && /^https:\/\/[\x21\x23-\x5b\x5d-\x7e]+$/.test(value),
  },
  isRevoked: {
    expected: 'a function that answers from memory and is not async',
    isValid: value => typeof value === 'function' && !isAsyncFunction(value),
  },
  onRefusal: functionRule,
  onWarning: functionRule,
}

const issuerRules: Rules = {
  issuer: { ...filledRule, expected: 'a non-empty string: the iss of the tokens' },
  audience: {
    expected: 'a non-empty string or a list of such strings: the name of this resource server',
    isValid: value => [value].flat().length > 0 && [value].flat().every(filledRule.isValid),
  },
}

/** Parsed where they are used. */
const optionalIssuerRules: Rules = { jwks: anyRule, profile: anyRule }

const issuersRule: Rule = {
  expected: 'a list of at least one issuer',
  isValid: value => Array.isArray(value) && value.length > 0,
}

/** Beside `issuers`, it would be unclear which issuer a member belongs to. */
const absentRule: Rule = { expected: 'absent, since each entry of issuers has its own', isValid: () => false }
const absentRules = Object.fromEntries(
  Object.keys({ ...issuerRules, ...optionalIssuerRules }).map(name => [name, absentRule]),
)

const sharedRules: Rules = {
  verifier: {
    expected: 'absent: the options of createVerifier belong here',
    isValid: value => isObject(value) && 'recheck' in value,
  },
}

function checkVerifierOptions(options: unknown, adapterRules: Rules): void {
  const optional = { ...settingRules, ...adapterRules }
  const given = isObject(options) ? options : {}
  if ('verifier' in given) checkOptions(options, undefined, sharedRules, optional)
  else if ('issuers' in given)
    checkOptions(options, undefined, { issuers: issuersRule }, { ...optional, ...absentRules })
  else checkOptions(options, undefined, issuerRules, { ...optional, ...optionalIssuerRules })
}

function createVerifierOf(options: Exclude<TokenCheckOptions, { readonly verifier: TokenVerifier }>): TokenVerifier {
  const { isRevoked, onWarning = warnProcess } = options
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

function warnProcess(message: string): void {
  process.emitWarning(message, 'TlsboundWarning')
}
