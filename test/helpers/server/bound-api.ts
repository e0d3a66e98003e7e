// What the tests of the adapters share: an issuer, its tokens and clients, and the behaviour that every framework must show.
import { constants, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { Server as HttpServer, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import t, { type Test } from 'tap'
import { createVerifier, mutualTls, type OAuthError, type Verifier } from 'tlsbound'
import { generateTokenKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { encode, forgeHmacToken, forgeToken, headerOf } from '../tokens/forge-token.ts'
import { claimsOf } from '../tokens/outside-issuer.ts'

const audience = 'https://rs.example'
const signingKey = await generateTokenKey('ES256')
const issuer = await startTestServer({
  env: { TLSBOUND_ISSUER: 'https://as.example', TLSBOUND_AUDIENCE: audience },
  signingKeys: [signingKey],
})
t.teardown(() => issuer.close())
export const { pki } = issuer
const alice = await issuer.connect('alice')
const jwks = (await alice.get('/oauth/jwks')).body as { keys: object[] }

/** The options of a verifier that accepts the tokens below. */
export const accepted = { issuer: 'https://as.example', audience, jwks }
/** A token of alice's certificate with the scope `notes:read`. */
export const reading = await alice.token({ token_binding: 'certificate', scope: 'notes:read' })
/** The same with every scope of alice. */
export const writing = await alice.token({ token_binding: 'certificate' })
export const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }

/** TLS settings of a `tls.Server` of one's own that are safe. */
export const safeTls = {
  ...{ ...material, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' as const },
  secureOptions: constants.SSL_OP_NO_TICKET,
}

/** Tokens that no adapter may accept: `reading` with one change, signed by the issuer where that is not the change. */
function changedTokens(): readonly (readonly [name: string, token: string])[] {
  const [header = '', payload = '', signature = ''] = reading.split('.')
  const claims = claimsOf(reading)
  const { cnf } = claims
  const make = (changes: { header?: object; claims?: object; jwk?: TokenJwk }) =>
    forgeToken({
      jwk: changes.jwk ?? signingKey,
      header: { ...headerOf(signingKey), ...changes.header },
      claims: { ...claims, ...changes.claims },
    })
  const now = Math.floor(Date.now() / 1000)
  const pem = createPublicKey({ key: signingKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const symmetric = { alg: 'HS256', typ: 'at+jwt', kid: headerOf(signingKey).kid }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = { ...signingKey, ...privateKey.export({ format: 'jwk' }) } as TokenJwk
  return [
    ['JW01: alg none', `${encode({ alg: 'none', typ: 'at+jwt' })}.${payload}.`],
    ['JW02: HS256', forgeHmacToken(symmetric, claims, pem)],
    ['JW03: ES384', make({ header: { alg: 'ES384' } })],
    ['JW04: a key of its own', make({ jwk: stranger, header: { jwk: publicKey.export({ format: 'jwk' }) } })],
    ['JW05: a key elsewhere', make({ jwk: stranger, header: { jku: 'https://localhost:1/jwks' } })],
    ['JW07: another kid', make({ header: { kid: '__proto__' } })],
    ['JW09: crit', make({ header: { crit: ['b64'], b64: true } })],
    ...['JWT', 'logout+jwt', 'dpop+jwt', '', 7, null].map(
      typ => [`JW10: typ ${typ}`, make({ header: { typ } })] as const,
    ),
    ['JW11: no signature', `${header}.${payload}.`],
    ['JW11: r = s = 0', `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`],
    ['JW14: a dot behind it', `${reading}.`],
    ['JW14: padding behind it', `${reading}=`],
    ['JW15: five segments', `${header}.e30.${payload}.e30.${signature}`],
    ...(['1', null, true, 0, now - 1, 1e300] as const).map(
      exp => [`JW22: exp ${exp}`, make({ claims: { exp } })] as const,
    ),
    ['JW22: too long a lifetime', make({ claims: { iat: now, exp: now + 86_401 } })],
    ['JW28: nbf', make({ claims: { nbf: now + 60 } })],
    ...[undefined, [], 'https://rs.example/', 7, { 0: audience }].map(
      aud => [`JW23: aud ${JSON.stringify(aud)}`, make({ claims: { aud } })] as const,
    ),
    ...[undefined, null, 'https://as.example/', ['https://as.example']].map(
      iss => [`JW24: iss ${iss}`, make({ claims: { iss } })] as const,
    ),
    ...[
      undefined,
      null,
      {},
      'x',
      { jkt: cnf['x5t#S256'] },
      { ...cnf, jkt: 'x' },
      { 'x5t#S256': [cnf['x5t#S256']] },
    ].map(value => [`CB16: cnf ${JSON.stringify(value)}`, make({ claims: { cnf: value } })] as const),
    ...['at_hash', 'events'].map(name => [`another token: ${name}`, make({ claims: { [name]: {} } })] as const),
  ]
}

/** Makes a server of a framework's handler. */
export type ServerFactory = (handler: RequestListener) => HttpServer

export const onMutualTls: ServerFactory = handler => mutualTls(material)(handler)
export const onHttps: ServerFactory = handler => createServer(safeTls, handler)

/** Listens on a free port until the test ends. */
export async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Opens a connection of a client; `null`: without a certificate. */
export async function connect(
  t: Test,
  port: number,
  who: 'alice' | 'bob' | 'stranger' | null = 'alice',
  protocol = 'http/1.1',
): Promise<TestConnection> {
  const identity = who && { cert: pki[who].certificate, key: pki[who].key }
  const tls = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, ALPNProtocols: [protocol] }
  const connection = await openConnection({ ...tls, ...identity }, 'alice')
  t.teardown(() => connection.close())
  return connection
}

export interface Protection {
  readonly verifier: Verifier
  /** The same as options, for an adapter whose `onRefusal` receives another request. */
  readonly options: typeof accepted & { readonly onRefusal: (request: unknown, refusal: OAuthError) => void }
}

export interface Framework {
  /** Where it runs: the name of a listener → the protocols that it must speak there. */
  readonly protocols: Readonly<Record<'mutualTls' | 'https', readonly ('h2' | 'http/1.1')[]>>
  /** Whether it answers octets that are not a request itself, as Fastify does; its answer may be lost with the connection. */
  readonly answersMalformed?: true
  /**
   * Starts an app that requires a token on every route: `/notes` answers with the subject, `/write` requires the scope
   * `notes:write`, `/fault` throws. Returns its port.
   */
  start(t: Test, factory: ServerFactory, protection: Protection): Promise<number>
}

/** Tests what an adapter must do, in the real framework. */
export function testFramework(name: string, { protocols, answersMalformed, start }: Framework): void {
  const factories = { mutualTls: onMutualTls, https: onHttps }
  for (const listener of ['mutualTls', 'https'] as const)
    for (const protocol of protocols[listener])
      t.test(`${name} on ${listener}, ${protocol}`, async t => {
        const refusals: string[] = []
        const onRefusal = (_request: unknown, { reason }: OAuthError) => void refusals.push(reason)
        let isRevoked = false
        const hooks = { onRefusal, onWarning: (warning: string) => t.fail(warning), isRevoked: () => isRevoked }
        const options = { ...accepted, ...hooks }
        const port = await start(t, factories[listener], { verifier: createVerifier(options), options })
        const here = await connect(t, port, 'alice', protocol)
        await t.test('accepts a token with its certificate (N-24)', async t => {
          t.match(await here.get('/notes', reading), { status: 200, text: 'notes of alice' })
          t.match(await here.get('/notes', reading), { status: 200, text: 'notes of alice' }, 'on the same connection')
          t.same(refusals, [])
        })
        await t.test('refuses a token that it has accepted on this connection, once it is revoked', async t => {
          isRevoked = true
          t.match(await here.get('/notes', reading), { status: 401, body: { reason: 'revoked' } })
          isRevoked = false
          t.match(await here.get('/notes', reading), { status: 200 }, 'control')
          t.same(refusals.splice(0), ['revoked'])
        })
        await t.test('refuses a token with another certificate', async t => {
          t.match(await (await connect(t, port, 'bob', protocol)).get('/notes', reading), {
            status: 401,
            headers: {
              'www-authenticate': /^Bearer error="invalid_token", error_description="/,
              'cache-control': 'no-store',
              'content-type': /^application\/json/,
            },
            body: { error: 'invalid_token', reason: 'certificate_mismatch' },
          })
          t.same(refusals.splice(0), ['certificate_mismatch'])
        })
        await t.test('answers a request without a token with a challenge', async t => {
          t.match(await here.get('/notes'), {
            status: 401,
            headers: { 'www-authenticate': 'Bearer realm="tlsbound"' },
            body: { reason: 'no_token' },
          })
          t.match(await here.get('/unknown'), { status: 401, body: { reason: 'no_token' } }, 'an unmatched path, too')
          t.same(refusals.splice(0), ['no_token', 'no_token'])
        })
        await t.test('requires the scope of a route', async t => {
          t.match(await here.get('/write', reading), {
            status: 403,
            headers: { 'www-authenticate': /error="insufficient_scope"/ },
            body: { error: 'insufficient_scope', reason: 'scope_missing' },
          })
          t.match(await here.get('/write', writing), { status: 200, text: 'written by alice' }, 'control')
          t.same(refusals.splice(0), ['scope_missing'])
        })
        await t.test('accepts no changed token, and reports each one once (JW, CB)', async t => {
          const problems: string[] = []
          const same = forgeToken({ jwk: signingKey, claims: claimsOf(reading) })
          t.match(await here.get('/notes', same), { status: 200 }, 'control: made in the same way, without a change')
          const rows = changedTokens()
          for (const [name, token] of rows) {
            const { status, headers } = await here.get('/notes', token)
            if (status !== 401 || !headers['www-authenticate']) problems.push(`${name}: ${status}`)
          }
          t.same(problems, [])
          t.equal(refusals.splice(0).length, rows.length)
          const bob = await connect(t, port, 'bob', protocol)
          for (const headers of [
            { 'client-cert': `:${pki.alice.x509.raw.toString('base64')}:` },
            { 'x-tls-exporter': 'x' },
          ])
            t.match(await bob.call('/notes', { headers, token: reading }), { status: 401 }, 'CB20')
          if (listener === 'mutualTls')
            t.match(await (await connect(t, port, null, protocol)).get('/notes', reading), {
              status: 401,
              body: { reason: 'no_certificate' },
            })
          const mixed = await Promise.all([reading, `${reading}.`, reading].map(token => here.get('/notes', token)))
          t.same(
            mixed.map(({ status }) => status),
            [200, 401, 200],
            'CB26: each request by its own token',
          )
          refusals.length = 0
        })
        await t.test('takes a token from one Authorization header only, before all else (HT)', async t => {
          const twice = { authorization: [`Bearer ${reading}`, `Bearer ${reading}`] }
          t.match(await here.call('/notes', { headers: twice }), { status: 400, body: { reason: 'malformed_request' } })
          t.match(await here.get(`/notes?access_token=${reading}`, reading), { status: 400 }, 'HT03')
          const type = { 'content-type': 'application/x-www-form-urlencoded' }
          const body = `access_token=${reading}`
          for (const call of [
            { headers: { cookie: `access_token=${reading}` } },
            { headers: { authorization: `DPoP ${reading}` } },
            { headers: { 'x-authorization': `Bearer ${reading}`, 'proxy-authorization': `Bearer ${reading}` } },
            { method: 'POST', headers: type, body },
            { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"__proto__":' },
            ...['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'TRACE'].map(method => ({ method })),
            { method: 'POST', headers: { 'x-http-method-override': 'GET', 'content-length': '0' } },
            { headers: { 'x-request-id': 'x'.repeat(9000) } },
          ]) {
            // A framework may close the connection of a request whose body it has not read.
            const own = await connect(t, port, 'alice', protocol)
            t.match(await own.call('/notes', call), { status: 401 }, JSON.stringify(call).slice(0, 60))
          }
          for (const path of [
            '/notes/',
            '//notes',
            '/NOTES',
            '/%6eotes',
            '/notes;x',
            '/notes%00',
            '/a/../notes',
            '/%zz',
            '/%ff',
          ])
            t.ok([400, 401].includes((await here.get(path)).status), `HT25: ${path}`)
          t.match(await here.get('/notes', reading), { status: 200 }, 'control')
          refusals.length = 0
        })
        await t.test('leaves a fault of the app to the framework', async t => {
          const { status, text, headers } = await here.get('/fault', reading)
          t.equal(status, 500)
          t.notMatch(text, /reason|tlsbound/)
          t.equal(headers['www-authenticate'], undefined)
          t.match(await here.get('/notes', reading), { status: 200 }, 'and the connection serves on')
        })
        if (listener === 'mutualTls' && protocol === 'http/1.1')
          await t.test('answers what is not a request, and closes the connection (HT07)', async t => {
            for (const [octets, status] of [
              [`GET /notes HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
              ['GET /notes HTTP/9.9\r\nhost: x\r\n\r\n', 400],
              ['GET /notes HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400],
            ] as const) {
              const { socket } = await connect(t, port, 'alice', protocol)
              let answer = ''
              socket.on('data', chunk => {
                answer += chunk
              })
              const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
              socket.on('error', () => {})
              socket.write(octets)
              await ended
              const expected = new RegExp(`^HTTP/1\\.1 ${status} ${answersMalformed ? '|^$' : ''}`)
              t.match(answer, expected, octets.slice(0, 40))
            }
            t.match(await here.get('/notes', reading), { status: 200 }, 'control')
          })
        if (listener === 'https') return // OpenSSL refuses the certificate there, in the handshake
        await t.test('ends a connection whose certificate is not accepted', async t => {
          const stranger = await connect(t, port, 'stranger', protocol)
          const ended = new Promise<void>(resolve => stranger.socket.once('close', () => resolve()))
          t.match(await stranger.get('/notes', reading), { status: 401, body: { reason: 'certificate_untrusted' } })
          await ended
          t.match(await here.get('/notes', reading), { status: 200 }, 'control: the other connection stays')
        })
      })
}
