// The routes of a gateway: parses their list, and selects the route of a request. A request without a route is refused.
import { METHODS } from 'node:http'
import { isScope } from '../core/access-token.ts'
import { parseAuthority } from '../core/authority.ts'
import { type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { findSimilarName } from '../core/similar-name.ts'
import { type RequestProof, requestProofs, type TokenDemand } from '../verify/demand.ts'
import { ambiguous, normalizePath } from './path.ts'

export interface Route {
  /** Host and path as written, for metrics. */
  readonly name: string
  /** In lower case; undefined: any host. */
  readonly host: string | undefined
  /** Normalized, without a slash at its end: the empty string for `/`. */
  readonly path: string
  readonly upstream: Address
  /** Undefined: every method. */
  readonly methods: ReadonlySet<string> | undefined
  /** Undefined: the route is public. */
  readonly demand: TokenDemand | undefined
  /** Whether the upstream receives the path without that of the route. */
  readonly stripPath: boolean
  /** Whether the upstream receives the client's Authorization. */
  readonly keepAuthorization: boolean
  /** Whether the upstream receives plain fields with the identity besides the assertion. */
  readonly identityFields: boolean
  /** Whether the upstream receives the client certificate (RFC 9440). */
  readonly clientCert: boolean
  /** Seconds without progress until the response begins. */
  readonly timeout: number
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** Where an upstream listens. */
export interface Address {
  /** As written. It is the audience of assertions. */
  readonly text: string
  readonly isTls: boolean
  /** `host` and `port`, or the path of a unix socket. */
  readonly at: { readonly host: string; readonly port: number } | { readonly path: string }
}

export interface RouteRules {
  /** The levels that tokens can have on the gateway's listener. */
  readonly levels: readonly TokenBinding[]
}

const members = [
  ...['path', 'host', 'upstream', 'methods', 'public', 'scope', 'binding', 'proof', 'strip_path', 'keep_authorization'],
  ...['identity_fields', 'client_cert', 'timeout', 'ca_file', 'cert_file', 'key_file'],
]

export const mostRoutes = 1000

/** Seconds. */
export const defaultTimeout = 60

/** CONNECT and TRACE are refused before a route is selected. */
const knownMethods = METHODS.filter(method => method !== 'CONNECT' && method !== 'TRACE')

/** Parses a list of routes. `problems` receives a sentence for each error. */
export function parseRoutes(list: unknown, problems: string[], rules: RouteRules): Route[] {
  if (!Array.isArray(list) || list.length === 0 || list.length > mostRoutes) {
    problems.push(`the list of routes must be a JSON array of 1 to ${mostRoutes}`)
    return []
  }
  const routes = list.flatMap((entry: unknown, index) => parseRoute(entry, index + 1, problems, rules) ?? [])
  const places = new Map<string, string>()
  for (const { host = '', path, name } of routes) {
    const place = host + path.toLowerCase()
    const other = places.get(place)
    if (other !== undefined) problems.push(`routes ${other} and ${name} have the same host and path, apart from case`)
    places.set(place, name)
  }
  return routes
}

function parseRoute(value: unknown, number: number, problems: string[], rules: RouteRules): Route | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push(`route number ${number}: must be a JSON object`)
    return undefined
  }
  const entry = value as Record<string, unknown>
  const { public: isPublic = false, scope, binding, proof, methods, timeout = defaultTimeout } = entry
  const path = parsePath(entry.path)
  const host = parseHost(entry.host)
  const upstream = parseUpstream(entry.upstream)
  const files = ['ca_file', 'cert_file', 'key_file'].filter(name => entry[name] !== undefined)
  const wrong = [
    ...Object.keys(entry)
      .filter(name => !members.includes(name))
      .map(describeUnknown),
    path === undefined && 'path must begin with a slash and be in its normal form, such as /notes/',
    host === null && 'host must be a host name in lower case or an IP address, without a port',
    upstream === undefined && 'upstream must be http://HOST:PORT, https://HOST:PORT or unix:/PATH, without a path',
    methods !== undefined &&
      !isListOf(methods, knownMethods) &&
      'methods must be a list of HTTP methods in upper case, without CONNECT and TRACE',
    ...['public', 'strip_path', 'keep_authorization', 'identity_fields', 'client_cert'].map(
      name => ![undefined, true, false].includes(entry[name] as boolean) && `${name} must be true or false`,
    ),
    scope !== undefined && !isScope(scope) && 'scope must be scope tokens separated by single spaces',
    binding !== undefined &&
      !tokenBindings.includes(binding as TokenBinding) &&
      `binding must be ${tokenBindings.join(', ')}`,
    tokenBindings.includes(binding as TokenBinding) &&
      !rules.levels.includes(binding as TokenBinding) &&
      `binding ${binding} works only on the listener of the issuer: set TLSBOUND_GATEWAY_FILE there`,
    proof !== undefined &&
      !requestProofs.includes(proof as RequestProof) &&
      `proof must be ${requestProofs.join(' or ')}`,
    isPublic === true &&
      ['scope', 'binding', 'proof', 'identity_fields', 'client_cert'].some(name => entry[name] !== undefined) &&
      'a public route verifies no token: remove scope, binding, proof, identity_fields and client_cert',
    !(Number.isInteger(timeout) && (timeout as number) >= 1 && (timeout as number) <= 86_400) &&
      'timeout must be seconds from 1 to 86400',
    ...['ca_file', 'cert_file', 'key_file'].map(
      name => entry[name] !== undefined && !isText(entry[name]) && `${name} must be a path`,
    ),
    files.length > 0 && upstream?.isTls === false && `${files.join(', ')}: only an https upstream has certificates`,
    (entry.cert_file === undefined) !== (entry.key_file === undefined) && 'cert_file and key_file belong together',
  ].filter(sentence => sentence !== false)
  const name = typeof entry.path === 'string' ? ` (${JSON.stringify(entry.path).slice(0, 80)})` : ''
  problems.push(...wrong.map(sentence => `route number ${number}${name}: ${sentence}`))
  if (wrong.length > 0 || path === undefined || upstream === undefined) return undefined
  const demand = { scope, binding, proof } as TokenDemand
  return {
    name: `${host ?? ''}${entry.path}`,
    host: host ?? undefined,
    path,
    upstream,
    methods: methods === undefined ? undefined : new Set(methods as string[]),
    demand:
      isPublic === true
        ? undefined
        : Object.fromEntries(Object.entries(demand).filter(([, given]) => given !== undefined)),
    stripPath: entry.strip_path === true,
    keepAuthorization: entry.keep_authorization === true,
    identityFields: entry.identity_fields === true,
    clientCert: entry.client_cert === true,
    timeout: timeout as number,
    caFile: entry.ca_file as string | undefined,
    certFile: entry.cert_file as string | undefined,
    keyFile: entry.key_file as string | undefined,
  }
}

function parsePath(value: unknown): string | undefined {
  if (typeof value !== 'string' || !value.startsWith('/')) return undefined
  try {
    return normalizePath(value)
  } catch {
    return undefined
  }
}

/** Returns null for an invalid host. */
function parseHost(value: unknown): string | null | undefined {
  if (value === undefined) return undefined
  const parsed = typeof value === 'string' ? parseAuthority(value) : undefined
  return parsed?.host === value ? parsed.host : null
}

/** Parses the address of an upstream. Undefined if it is not one. */
export function parseUpstream(value: unknown): Address | undefined {
  if (typeof value !== 'string') return undefined
  if (/^unix:\/[\x21-\x7e]{1,100}$/.test(value)) return { text: value, isTls: false, at: { path: value.slice(5) } }
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || (url.origin !== value && `${url.origin}/` !== value))
    return undefined
  const isTls = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { text: value, isTls, at: { host, port: Number(url.port || (isTls ? 443 : 80)) } }
}

function isListOf(value: unknown, allowed: readonly string[]): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(one => allowed.includes(one))
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function describeUnknown(name: string): string {
  const similar = findSimilarName(name, members)
  return `unknown member ${JSON.stringify(name).slice(0, 40)}${similar === undefined ? '' : `; did you mean ${similar}?`}`
}

/**
 * Selects the route of a request by host and path: the longest path, at the boundary of a segment; of two with the same path,
 * the one with the host.
 */
export interface RouteTable<T extends Route> {
  /**
   * `path`: of the request target, without query.
   * @throws OAuthError `malformed_request` if the upstream could read the path as that of another route.
   */
  find(authority: string, path: string): { readonly route: T; readonly rest: string } | undefined
  readonly routes: readonly T[]
}

export function createRouteTable<T extends Route>(routes: readonly T[]): RouteTable<T> {
  const byPlace = new Map(routes.map(route => [placeOf(route.host, route.path), route]))
  const byFoldedPlace = new Map(routes.map(route => [placeOf(route.host, route.path.toLowerCase()), route]))
  const hasHosts = routes.some(({ host }) => host !== undefined)

  function select(places: ReadonlyMap<string, T>, host: string | undefined, path: string): T | undefined {
    for (let prefix = path; ; prefix = prefix.slice(0, prefix.lastIndexOf('/'))) {
      const found =
        (host === undefined ? undefined : places.get(placeOf(host, prefix))) ?? places.get(placeOf(undefined, prefix))
      if (found !== undefined || prefix === '') return found
    }
  }

  return {
    routes,
    find(authority, path) {
      const normal = normalizePath(path)
      const host = hasHosts ? parseAuthority(authority)?.host : undefined
      const route = select(byPlace, host, normal)
      // Some frameworks compare paths without regard to case.
      if (select(byFoldedPlace, host, normal.toLowerCase()) !== route)
        throw ambiguous('the path of a route in other upper or lower case')
      // Some frameworks select their handler by the encoded path.
      if (route !== undefined && path.includes('%') && !upperCodes(path).startsWith(encodePath(route.path)))
        throw ambiguous('a needlessly percent-encoded character in the path of a route')
      return route && { route, rest: restOf(route, path) }
    },
  }
}

function placeOf(host: string | undefined, path: string): string {
  return host === undefined ? path : `${host}${path}`
}

/** Encodes what a URI must encode. */
function encodePath(path: string): string {
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent)
}

function upperCodes(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, code => code.toUpperCase())
}

/** Returns the path for the upstream, as the client has encoded it. */
function restOf({ stripPath, path: own }: Route, path: string): string {
  if (!stripPath || own === '') return path
  const segments = own.split('/').length
  return `/${path.split('/').slice(segments).join('/')}`
}
