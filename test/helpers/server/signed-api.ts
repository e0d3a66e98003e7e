// What every adapter must do with a signed request: accept it, and refuse a body that differs from its digest before a handler acts.
import { connect as connectHttp2, constants } from 'node:http2'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createVerifier, type OAuthError, type Verifier } from 'tlsbound'
import type { Call } from '../../../src/lab/connection.ts'
import type { TestConnection } from '../../../src/testing/connection.ts'
import { type Signing, signCall } from '../client/sign-call.ts'
import { accepted, connect, onMutualTls, pki, type ServerFactory, writing } from './bound-api.ts'
import { exchange } from './raw-http.ts'

export interface SignedFramework {
  readonly protocols: readonly ('h2' | 'http/1.1')[]
  /**
   * Starts an app that requires signed requests. `POST /text` answers with the parsed body, after `called`; `POST /stream` with the
   * number of octets that it reads from the request itself, after `called`; `GET /text` with `read`; `POST /unread` without reading.
   */
  start(t: Test, factory: ServerFactory, parts: SignedParts): Promise<number>
}

export interface SignedParts {
  readonly verifier: Verifier
  readonly options: typeof accepted & { readonly onRefusal: (request: unknown, refusal: OAuthError) => void }
  /** To be called by each handler once it has the body. */
  readonly called: (name: string) => void
}

/** Sends a request with three octets of its body, and disconnects. */
export async function breakOff({ socket }: TestConnection, path: string, fields: Call['headers']): Promise<void> {
  const host = `localhost:${socket.remotePort}`
  if (socket.alpnProtocol === 'h2') {
    const session = connectHttp2(`https://${host}`, { createConnection: () => socket })
    const stream = session.request({ ':method': 'POST', ':path': path, ...fields }).on('error', () => {})
    stream.write('hel')
    await wait(50)
    stream.close(constants.NGHTTP2_CANCEL)
    await wait(50)
    session.destroy()
  } else {
    const head = Object.entries({ host, ...fields }).map(([field, value]) => `${field}: ${value}\r\n`)
    socket.write(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\nhel`)
    await wait(50)
    socket.destroy()
  }
}

export function testSignedRequests(name: string, { protocols, start }: SignedFramework): void {
  for (const protocol of protocols)
    t.test(`${name} over ${protocol}`, async t => {
      const refusals: string[] = []
      const calls: string[] = []
      const onRefusal = (_request: unknown, { reason, detail }: OAuthError) => void refusals.push(`${reason} ${detail}`)
      const options = { ...accepted, onRefusal, onWarning: (warning: string) => t.fail(warning) }
      const called = (name: string) => void calls.push(name)
      const port = await start(t, onMutualTls, { verifier: createVerifier(options), options, called })
      const alice = await connect(t, port, 'alice', protocol)
      const call = (path: string, given: Call = {}, signing: Signing = {}, by = alice) =>
        by.call(path, signCall(by, pki.alice, path, { token: writing, ...given }, signing))
      const text = { method: 'POST', headers: { 'content-type': 'text/plain' } }
      const seen = () => [calls.splice(0), refusals.splice(0)]

      await t.test('accepts signed requests, with and without a body', async t => {
        t.match(await call('/text'), { status: 200, text: 'read' })
        t.match(await call('/text?a=1&b=%20'), { status: 200, text: 'read' })
        for (const path of ['/text', '/stream'])
          for (const body of ['hello', 'x'.repeat(300_000)]) {
            const answer = await call(path, { ...text, body })
            t.match(answer, { status: 200 }, path)
            t.equal(answer.text, path === '/text' ? body : String(body.length))
          }
        for (const body of ['hello', 'x'.repeat(300_000)]) {
          const by = await connect(t, port, 'alice', protocol)
          t.match(await call('/unread', { ...text, body }, {}, by), { status: 200 })
          t.match(await call('/text', {}, {}, by), { status: 200 }, 'the connection serves on')
        }
        t.match(await call('/stream', { ...text, body: '' }), { status: 200, text: '0' }, 'an empty body')
        await wait(50) // an unread body arrives after the response
        t.same(refusals, [], 'also if the handler does not read the body')
        calls.length = 0
      })

      await t.test('asks for a signature (N-69)', async t => {
        t.match(await alice.get('/text', writing), {
          status: 401,
          headers: {
            'www-authenticate': /^Bearer error="use_signed_request"/,
            'accept-signature':
              /^sig=\("@method" "@target-uri" "authorization" "tls-channel-binding" "content-type" "content-digest"\);created;expires;nonce;keyid;tag="tlsbound-request"$/,
          },
          body: { error: 'use_signed_request', reason: 'signature_missing' },
        })
        t.same(seen(), [[], ['signature_missing header_missing']])
      })

      await t.test('refuses a body that differs, before a parser or handler takes it for complete (N-70)', async t => {
        const refused = {
          status: 401,
          headers: {
            'www-authenticate': /error="invalid_signature"/,
            'accept-signature': /^sig=/,
            'content-type': /json/,
          },
          body: { error: 'invalid_signature', reason: 'digest_invalid' },
        }
        for (const path of ['/text', '/stream'])
          for (const [body, sent] of [
            ['hello', 'hellp'],
            ['hello', 'hello!'],
            ['hello', 'hell'],
            ['x'.repeat(300_000), `${'x'.repeat(299_999)}y`],
            ['x'.repeat(300_000), `y${'x'.repeat(299_999)}`],
          ] as const) {
            const by = await connect(t, port, 'alice', protocol)
            const what = `${path} ${body.length} ${sent.length}`
            t.match(await call(path, { ...text, body }, { sent }, by), refused, what)
            t.same(seen(), [[], ['digest_invalid mismatch']], what)
            if (by.isOpen())
              t.match(await call('/text', {}, {}, by), { status: 200 }, `${what}: the connection serves on`)
          }
        t.match(await call('/text', { ...text, body: 'hello' }), { status: 200, text: 'hello' }, 'control')
        t.same(seen(), [['text'], []])
      })

      await t.test('refuses a body without a digest, and one that is not signed', async t => {
        const body = 'hello'
        const signed = signCall(alice, pki.alice, '/text', { ...text, token: writing })
        const late = (headers: object) => ({ ...signed, body, headers: { ...signed.headers, ...headers } })
        t.match(await alice.call('/text', late({})), { status: 401, body: { reason: 'digest_invalid' } })
        const fields = { 'content-digest': 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:' }
        t.match(await alice.call('/text', late(fields)), { status: 401, body: { reason: 'signature_invalid' } })
        t.same(seen(), [[], ['digest_invalid missing', 'signature_invalid component_missing']])
      })

      await t.test('continues after a client that disconnects in its body', async t => {
        for (const path of ['/text', '/stream', '/unread']) {
          const by = await connect(t, port, 'alice', protocol)
          const { headers = {} } = signCall(by, pki.alice, path, { ...text, token: writing, body: 'hello' })
          await breakOff(by, path, { authorization: `Bearer ${writing}`, 'content-length': '5', ...headers })
        }
        t.match(await call('/text'), { status: 200 })
        t.same(refusals, [], 'an incomplete body is no sign of an attack')
        seen()
      })

      if (protocol === 'http/1.1')
        await t.test('serves pipelined requests, of which one has another body', async t => {
          const by = await connect(t, port, 'alice')
          const octets = ['one', 'two', 'three'].map((body, index) => {
            const signed = signCall(by, pki.alice, '/text', { ...text, token: writing, body })
            const fields = { host: `localhost:${port}`, authorization: `Bearer ${writing}`, ...signed.headers }
            const sent = index === 1 ? 'twO' : body
            const head = Object.entries({ ...fields, 'content-length': String(sent.length) })
            return `POST /text HTTP/1.1\r\n${head.map(([field, value]) => `${field}: ${value}\r\n`).join('')}\r\n${sent}`
          })
          const { answers } = await exchange(by, octets.join(''), { until: 3 }).catch(() => ({ answers: [] }))
          t.match(answers, [{ status: 200 }, { status: 401, body: { reason: 'digest_invalid' } }, { status: 200 }])
          seen()
        })
    })
}
