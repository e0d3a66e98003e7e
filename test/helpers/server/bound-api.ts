// What the tests of the adapters share: an issuer, its tokens and clients, and the behaviour that every framework must show.
import { constants } from 'node:crypto'
import type { Server as HttpServer, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import t, { type Test } from 'tap'
import { createVerifier, mutualTls, type OAuthError, type Verifier } from 'tlsbound'
import { openConnection, type TestConnection } from '../../../src/testing/connection.ts'
import { startTestServer } from '../../../src/testing/server.ts'

const audience = 'https://rs.example'
const issuer = await startTestServer({ env: { TLSBOUND_ISSUER: 'https://as.example', TLSBOUND_AUDIENCE: audience } })
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
  /**
   * Starts an app that requires a token on every route: `/notes` answers with the subject, `/write` requires the scope
   * `notes:write`, `/fault` throws. Returns its port.
   */
  start(t: Test, factory: ServerFactory, protection: Protection): Promise<number>
}

/** Tests what an adapter must do, in the real framework. */
export function testFramework(name: string, { protocols, start }: Framework): void {
  const factories = { mutualTls: onMutualTls, https: onHttps }
  for (const listener of ['mutualTls', 'https'] as const)
    for (const protocol of protocols[listener])
      t.test(`${name} on ${listener}, ${protocol}`, async t => {
        const refusals: string[] = []
        const onRefusal = (_request: unknown, { reason }: OAuthError) => void refusals.push(reason)
        const options = { ...accepted, onRefusal, onWarning: (warning: string) => t.fail(warning) }
        const port = await start(t, factories[listener], { verifier: createVerifier(options), options })
        const here = await connect(t, port, 'alice', protocol)
        await t.test('accepts a token with its certificate (N-24)', async t => {
          t.match(await here.get('/notes', reading), { status: 200, text: 'notes of alice' })
          t.match(await here.get('/notes', reading), { status: 200, text: 'notes of alice' }, 'on the same connection')
          t.same(refusals, [])
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
        await t.test('leaves a fault of the app to the framework', async t => {
          const { status, text, headers } = await here.get('/fault', reading)
          t.equal(status, 500)
          t.notMatch(text, /reason|tlsbound/)
          t.equal(headers['www-authenticate'], undefined)
          t.match(await here.get('/notes', reading), { status: 200 }, 'and the connection serves on')
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
