// The header of a request for an upstream. Everything that an upstream could take for a statement of its gateway is removed from
// what the client sent, on public routes too; then the gateway writes its own.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { AccessToken } from '../core/access-token.ts'
import { describeValue } from '../core/describe-value.ts'
import { malformed, OAuthError } from '../core/errors.ts'
import { connectionFields, readNominated } from '../relay/connection-fields.ts'
import { type Connection, connectionOf } from '../tls/connection.ts'
import type { Route } from './routes.ts'

/** Fields of a hop, and those that the gateway answers or writes itself. */
const ofHop = new Set([...connectionFields, 'host', 'expect', 'via', 'content-length'])

/**
 * Fields that proxies write about a client: its certificate, its identity, its address, the original request. Those with a
 * hyphen at their end are the beginning of a family.
 */
const forgeable = [
  ...['authorization', 'session-binding-proof', 'tls-channel-binding', 'client-cert', 'client-cert-chain'],
  ...['forwarded', 'tlsbound-'],
  ...['x-forwarded-', 'x-auth-', 'x-ssl-', 'ssl-', 'x-tls-', 'x-client-', 'x-proxy-', 'x-jwt-'],
  ...['x-authenticated-', 'x-webauth-', 'x-remote-', 'remote-', 'x-token-', 'x-scope-', 'x-id-token', 'x-access-token'],
  // Addresses and schemes.
  ...[
    'x-real-ip',
    'x-cluster-client-ip',
    'true-client-ip',
    'client-ip',
    'fastly-client-ip',
    'fly-client-ip',
    'x-originating-ip',
  ],
  ...[
    'cf-connecting-',
    'cf-pseudo-ipv4',
    'x-scheme',
    'x-url-scheme',
    'front-end-https',
    'x-host',
    'x-http-host-override',
  ],
  // Clouds, other gateways and single sign-on.
  ...[
    'cf-access-',
    'x-envoy-',
    'x-amzn-',
    'x-arr-',
    'x-azure-',
    'x-goog-authenticated-',
    'x-goog-iap-',
    'x-appengine-',
  ],
  ...['x-endpoint-api-userinfo', 'x-apigateway-api-userinfo', 'x-ms-client-principal', 'x-ms-token-', 'wl-proxy-'],
  ...['x-authentik-', 'x-pomerium-', 'x-vouch-', 'x-consumer-', 'x-credential-', 'x-anonymous-consumer', 'tailscale-'],
  ...['oidc-', 'shib-', 'iv-', 'sm-', 'smuser', 'oam-remote-user'],
  // With these, a client chooses another path, method or file than that of the route, or skips a check.
  ...['x-original-', 'x-rewrite-url', 'x-http-method', 'x-method-override', 'x-script-name', 'script-name'],
  ...['x-sendfile-type', 'x-accel-', 'x-middleware-'],
  // The name of a variable with which CGI programs select a proxy; and other fields for a proxy.
  'proxy-',
]
const forgeableNames = new Set(forgeable)
const forgeableFamilies = forgeable.filter(name => name.endsWith('-'))
/** `x-http-method` and `x-user` begin names too. */
const forgeableBeginnings = /^(?:x-http-method|x-user|client-cert|x-ms-client-principal)/

/** The verdict for each name that was met, because clients send the same ones. Bounded, since a client can invent names. */
const verdicts = new Map<string, Verdict>()
const mostVerdicts = 4096
const longestKept = 64
type Verdict = 'pass' | 'drop' | 'authorization' | 'content-length' | 'cookie'

function judge(name: string): Verdict {
  const known = verdicts.get(name)
  if (known !== undefined) return known
  if (verdicts.size >= mostVerdicts) verdicts.clear()
  const verdict = judgeAnew(name.toLowerCase())
  if (name.length <= longestKept) verdicts.set(name, verdict)
  return verdict
}

function judgeAnew(name: string): Verdict {
  if (name === 'authorization' || name === 'content-length' || name === 'cookie') return name
  // Gateway interfaces of web servers turn a hyphen, and some any sign, into an underscore.
  const folded = name.replace(/[^a-z0-9]/g, '-')
  const isDropped =
    name.startsWith(':') ||
    ofHop.has(folded) ||
    forgeableNames.has(folded) ||
    forgeableBeginnings.test(folded) ||
    forgeableFamilies.some(family => folded.startsWith(family) || `${folded}-` === family) ||
    (folded !== name && /^(?:authorization|cookie|content-.*)$/.test(folded))
  return isDropped ? 'drop' : 'pass'
}

type ClientRequest = IncomingMessage | Http2ServerRequest

/**
 * Builds the header of a request: names and values, alternating. `own`: the fields about the client that the gateway states.
 * @throws OAuthError `malformed_request` for a transfer coding that the upstream would not learn of.
 */
export function buildFields(request: ClientRequest, { keepAuthorization }: Route, own: readonly string[]): string[] {
  const { rawHeaders, headers, httpVersion } = request
  const nominated = headers.connection === undefined ? undefined : readNominated(headers.connection)
  const passed: string[] = []
  let cookie: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const value = rawHeaders[index + 1] as string
    const verdict = judge(name)
    if (verdict === 'drop' || nominated?.has(name.toLowerCase()) === true) continue
    if (verdict === 'authorization' && !keepAuthorization) continue
    // RFC 9113 §8.2.3: over HTTP/2, a client can send its cookies in several fields.
    if (verdict === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`
    else passed.push(name, value)
  }
  if (cookie !== undefined) passed.push('cookie', cookie)
  const via = `${httpVersion} tlsbound`
  passed.push('via', headers.via === undefined ? via : `${headers.via}, ${via}`, ...own)
  return passed
}

/** Checks whether a request has a body. @throws OAuthError `malformed_request` for a coding that is not decoded here. */
export function hasBody(request: ClientRequest): boolean {
  if (request.httpVersionMajor === 2) return !(request as Http2ServerRequest).stream.endAfterHeaders
  const { 'transfer-encoding': coding, 'content-length': length } = request.headers
  if (coding === undefined) return length !== undefined && length !== '0'
  // Node removes the chunks only: the upstream would not learn of another coding inside them (RFC 9112 §6.1).
  if (coding.toLowerCase() !== 'chunked' || request.httpVersion !== '1.1')
    throw malformed('body_framing', { found: 'a transfer coding other than chunked, or one in HTTP/1.0' })
  return true
}

interface Origin {
  readonly authority: string
  readonly fields: readonly string[]
}

const origins = new WeakMap<object, Origin>()

/** Returns the fields about the client's end of its connection, in both forms (RFC 7239 and its predecessors). */
export function originFields(request: ClientRequest, authority: string): readonly string[] {
  const { socket } = connectionOf(request) ?? request
  const known = origins.get(socket)
  if (known?.authority === authority) return known.fields
  if (!/^[\w.:[\]-]{1,256}$/.test(authority)) throw malformed('host_malformed', { host: authority })
  const address = (socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  const node = address.includes(':') ? `"[${address}]"` : address
  const fields = [
    ...['x-forwarded-for', address, 'x-forwarded-host', authority, 'x-forwarded-proto', 'https'],
    ...['forwarded', `for=${node};host="${authority}";proto=https`],
  ]
  origins.set(socket, { authority, fields })
  return fields
}

/**
 * Returns the plain fields with the identity of a token.
 * @throws OAuthError `claims_malformed` if a claim cannot be a field value, so that it is never changed on its way.
 */
export function identityFields({ claims, binding, attested }: AccessToken): string[] {
  const { sub, client_id, scope } = claims
  for (const [claim, value] of Object.entries({ sub, client_id }))
    if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value))
      throw new OAuthError('invalid_token', 'claims_malformed', 'claim', { claim, found: describeValue(value) })
  return [
    ...['x-forwarded-user', sub, 'x-auth-request-user', sub],
    ...['tlsbound-client-id', client_id, 'tlsbound-scope', scope, 'tlsbound-token-binding', binding],
    ...(attested === undefined ? [] : ['tlsbound-attested', attested]),
  ]
}

const certificates = new WeakMap<Connection, readonly string[]>()

/** Returns the client certificate as a field (RFC 9440 §2.2). */
export function certificateFields(connection: Connection | undefined): readonly string[] {
  const certificate = connection?.presenter?.certificate.x509
  if (connection === undefined || certificate === undefined) return []
  const known = certificates.get(connection) ?? ['client-cert', `:${certificate.raw.toString('base64')}:`]
  certificates.set(connection, known)
  return known
}
