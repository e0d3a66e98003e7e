// The check of a request's token that the verifier, the adapters and the server share: finds the connection, verifies the token on it, and
// compares it with what the route demands.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Server } from 'node:tls'
import { isAsyncFunction } from 'node:util/types'
import type { AccessToken, AccessTokenClaims } from '../core/access-token.ts'
import { checkOptions, functionRule, isObject, type Rule, type Rules } from '../core/check-options.ts'
import type { OAuthError } from '../core/errors.ts'
import { whenReady } from '../core/when-ready.ts'
import { findConnection, inspectTlsServer } from '../tls/adopt.ts'
import type { Connection } from '../tls/connection.ts'
import { keepRecheck } from '../tls/forwarded-requests.ts'
import {
  type AcceptedIssuer,
  type AcceptedIssuers,
  createVerifierOfIssuers,
  issuerRules,
  optionalIssuerRules,
} from './accepted-issuers.ts'
import { refuseSecondToken } from './bearer.ts'
import { onContentRefused } from './content-guard.ts'
import { createDemands, demandRules, requireDemand, type TokenDemand } from './demand.ts'
import { describeToken } from './token-facts.ts'
import type { TokenVerifier } from './token-verifier.ts'

/** A request of `http`, `https` or `http2`, or an upgrade request. */
export type NodeRequest = IncomingMessage | Http2ServerRequest

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
// AcceptedIssuers, spelled out for the reference of the library.
export type VerifierOptions = VerifierSettings & (AcceptedIssuer | { readonly issuers: readonly AcceptedIssuer[] })

/** Verifies the token of a request. Returns a promise only if a fetch or a store lookup is needed for its first use. */
export interface TokenCheck {
  (request: NodeRequest, demand?: TokenDemand): AccessToken | Promise<AccessToken>
  /** Verifies again the token of a request that goes on (token-verifier.ts). @throws OAuthError (or rejects) */
  recheck(request: NodeRequest, token: AccessToken, mayWait?: boolean): void | Promise<void>
}

/** The options of a verifier, or those of a server that passes its own token verifier. Each adapter calls `onRefusal` itself. */
export type TokenCheckOptions = Omit<VerifierSettings, 'onRefusal'> & { readonly onRefusal?: unknown } & (
    | AcceptedIssuers
    | { readonly verifier: TokenVerifier }
  )

/**
 * Creates the check that a verifier and the Fastify plugin share. `adapterRules`: further options of the adapter.
 * @throws TypeError that names the invalid option.
 */
export function createTokenCheck(options: TokenCheckOptions, adapterRules: Rules = {}): TokenCheck {
  checkVerifierOptions(options, adapterRules)
  const demandOf = createDemands(options)
  const inspected = new WeakSet<Server>()
  const warn = options.onWarning ?? warnProcess
  const verifier = 'verifier' in options ? options.verifier : createVerifierOfIssuers(options, warn)
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

/** The default of `onWarning`. */
export function warnProcess(message: string): void {
  process.emitWarning(message, 'TlsboundWarning')
}
