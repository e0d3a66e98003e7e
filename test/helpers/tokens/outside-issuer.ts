// An outside issuer for tests of the token exchange: keys and signatures by jose, its list entry and keys in files, and
// optionally a real HTTPS server that serves the keys or misbehaves.
import { writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { TAP } from 'tap'
import type { DemoPki } from '../../../src/pki/demo.ts'
import type { Answer, TestConnection, TestServer } from '../../../src/testing/server.ts'

export const idp = 'https://idp.example'
export const outsideAudience = 'https://localhost:8443'
export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

export interface OutsideIssuer {
  readonly publicJwk: JWK
  readonly privateJwk: JWK
  /** A token with these claims over valid ones; undefined omits one. `now` in seconds. */
  sign(now: number, claims?: object, header?: object): Promise<string>
  /** A token whose claims are these octets. */
  signText(octets: Buffer): Promise<string>
}

export async function makeIssuer(kid = 'outside-1', alg = 'ES256'): Promise<OutsideIssuer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const signText = (octets: Buffer, header: object = {}) =>
    new CompactSign(octets).setProtectedHeader({ alg, kid, typ: 'at+jwt', ...header }).sign(privateKey)
  return {
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    privateJwk: await exportJWK(privateKey),
    sign: (now, claims = {}, header = {}) =>
      signText(Buffer.from(JSON.stringify({ ...goodClaims(now), ...claims })), header),
    signText,
  }
}

export function goodClaims(now: number) {
  return {
    iss: idp,
    aud: ['https://other.example', outsideAudience],
    sub: 'carol',
    scope: 'notes:read openid',
    iat: now,
    exp: now + 120,
    jti: 'outside',
  }
}

/** Writes the list of issuers and their key files; returns the setting with its path. */
export function trust(folder: string, entries: readonly object[], files: Readonly<Record<string, unknown>> = {}) {
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  const list = join(folder, 'issuers.json')
  writeFileSync(list, JSON.stringify(entries))
  return { TLSBOUND_TRUSTED_ISSUERS_FILE: list }
}

const common = { token_endpoint_auth_method: 'tls_client_auth', token_bindings: ['connection', 'certificate'] }

/** alice may exchange, bob may also refresh; mallory may neither, and is the resource server of `backend`. */
export const backend = 'https://backend.example'
export const exchangeClients: readonly [object, object, object] = [
  {
    ...common,
    client_id: 'alice',
    tls_client_auth_subject_dn: 'CN=alice',
    scope: 'notes:read notes:write',
    grant_types: ['client_credentials', exchangeGrant],
  },
  {
    ...common,
    client_id: 'bob',
    tls_client_auth_subject_dn: 'CN=bob',
    scope: 'notes:read notes:write',
    grant_types: ['client_credentials', 'refresh_token', exchangeGrant],
  },
  { ...common, client_id: 'mallory', tls_client_auth_subject_dn: 'CN=mallory', resource: backend },
]

/** Requests the exchange of a token; empty parameters count as absent. */
export function exchange(
  connection: TestConnection,
  token: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return connection.requestToken({
    grant_type: exchangeGrant,
    subject_token: token,
    subject_token_type: tokenType('access_token'),
    ...parameters,
  })
}

/** Returns the claims of a JWT, unverified. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into claims of every form
export function claimsOf(token: string): any {
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
}

/** A key server with a certificate of the demo's authority. `requests` counts; `answer` may be changed at any time. */
export async function startKeyServer(t: { teardown(end: () => unknown): void }, pki: DemoPki, first: RequestListener) {
  const keyServer = { uri: '', connections: 0, requests: 0, answer: first }
  const { certificate: cert, key } = pki.server
  const server = createServer({ cert, key }, (request, response) => {
    keyServer.requests++
    keyServer.answer(request, response)
  })
  server.on('connection', () => keyServer.connections++)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  keyServer.uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  return keyServer
}

/** Answers with these keys. */
export function give(...keys: JWK[]): RequestListener {
  return (_request, response) =>
    void response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
}

type Asserts = Pick<TAP, 'equal' | 'match'>

/** Checks that a subject token is not exchanged: one refusal, one event, and no trace of it in any output. */
export async function refuseExchange(
  t: Asserts,
  { server, connection }: { server: TestServer; connection: TestConnection },
  name: string,
  token: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<void> {
  const [events, lines] = [server.events.length, server.log.length]
  const answer = await exchange(connection, token, parameters)
  const written = server.events.slice(events)
  t.match(
    { ...answer, written, count: written.length },
    {
      status: 400,
      headers: { 'cache-control': 'no-store' },
      body: { error: 'invalid_request', reason: 'subject_token_invalid' },
      written: [{ event: 'token.refused', reason: 'subject_token_invalid', status: 400 }],
      count: 1,
    },
    name,
  )
  const traces = JSON.stringify([answer, written, server.log.slice(lines)])
  const segments = token.split('.').filter(segment => segment.length > 40)
  t.equal(segments.filter(segment => traces.includes(segment)).length, 0, `${name}: nothing of it is written`)
}
