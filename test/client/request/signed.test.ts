// Signed requests of the client: when it signs, what it signs, and what it cannot sign. Another implementation of RFC 9421
// verifies each signature. RFC 9421 §5.1, RFC 9530.
import { generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { type Dispatcher, FormData } from 'undici'
import { createClient } from '../../../src/client/client.ts'
import { longestSignedStream } from '../../../src/client/signing/collect.ts'
import { mostSignedPaths } from '../../../src/client/signing/signature-demands.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import { makeDemoPki } from '../../../src/pki/demo.ts'
import { type FakeOptions, json, read, type Serve, startFakeUpstream } from '../../helpers/client/fake-upstream.ts'
import { askForSignature, findFault } from '../../helpers/client/signed-upstream.ts'

const isSigned = ({ headers }: { headers: Readonly<Record<string, unknown>> }) => headers.signature !== undefined

/** Starts an upstream whose paths below /signed accept signed requests only, and a client. */
async function start(t: Test, options: object = {}, fake: FakeOptions = {}) {
  const faults: (string | undefined)[] = []
  const serve: Serve = async (request, response, seen) => {
    seen.body = await read(request)
    if (seen.path.startsWith('/signed') && !isSigned(seen)) return askForSignature(request, response, seen)
    if (isSigned(seen)) faults.push(await findFault(request, seen))
    json(response, 200, { body: seen.body })
  }
  const upstream = await startFakeUpstream(t, serve, { http2: true, ...fake })
  const client = createClient({ ...upstream.target, ...options })
  t.teardown(() => client.close())
  const send = async (path: string, request: Partial<Dispatcher.RequestOptions> = {}) => {
    const { statusCode, body } = await client.dispatcher.request({ path, method: 'GET', ...request })
    return { status: statusCode, text: await body.text() }
  }
  return { upstream, client, send, faults, signed: () => upstream.seen.map(isSigned) }
}

for (const http2 of [true, false]) {
  const protocol = http2 ? 'h2' : 'http/1.1'

  t.test(`over ${protocol} signs when the server asks, and remembers that`, async t => {
    const { upstream, client, send, faults, signed } = await start(t, { http2 })
    t.match(await send('/open'), { status: 200 })
    t.match(await send('/signed/1?a=b&c'), { status: 200 })
    t.same(signed(), [false, false, true])
    t.equal(upstream.tokenRequests, 1, 'the token is not to blame')
    t.match(await send('/signed/2'), { status: 200 })
    t.match(await send('/open'), { status: 200 })
    t.same(signed().slice(3), [true, true], 'every later request is signed at once')
    t.same(faults, [undefined, undefined, undefined])
    t.equal(client.state().counts.repeated, 1)
    const nonces = upstream.seen.map(({ headers }) => /nonce="([^"]+)"/.exec(String(headers['signature-input']))?.[1])
    t.equal(new Set(nonces.filter(nonce => nonce !== undefined)).size, 3, 'each request has a nonce of its own')
  })

  t.test(`over ${protocol} signs each kind of body`, async t => {
    const { client, send, faults, upstream } = await start(t, { http2, signRequests: true })
    const form = new FormData()
    form.set('a', 'b')
    const json = { 'content-type': 'application/json' }
    const bodies: [NonNullable<Dispatcher.DispatchOptions['body']> | null, string | RegExp, object?][] = [
      ['{"a":"ü"}', '{"a":"ü"}', json],
      [Buffer.from('octets'), 'octets'],
      ['', ''],
      [null, ''],
      [Readable.from(['in ', 'pieces']), 'in pieces', json],
      [Readable.from([]), ''],
      ['white space around a value', 'white space around a value', { 'content-type': ' text/plain ' }],
      [form, /form-data; name="a"/],
    ]
    for (const [body, expected, headers = {}] of bodies) {
      t.equal((await send('/signed', { method: 'POST', body, headers: headers as Record<string, string> })).status, 200)
      t.match(upstream.seen.at(-1)?.body, expected)
    }
    const answer = await client.fetch('/signed', { method: 'PUT', body: new URLSearchParams({ a: 'b' }) })
    t.equal(answer.status, 200)
    const duplex = { method: 'PUT', duplex: 'half' } as const
    t.equal((await client.fetch('/signed', { ...duplex, body: Readable.from(['stream']) })).status, 200)
    const query = await client.dispatcher.request({ path: '/signed', method: 'GET', query: { a: ['b c', 'd'] } })
    t.equal(query.statusCode, 200)
    await query.body.text()
    t.same(new Set(faults), new Set([undefined]))
    t.equal(faults.length, bodies.length + 3)
    t.equal(client.state().counts.repeated, 0, 'signed from the first request on')
  })

  t.test(`over ${protocol} sends a stream with the digest of its caller as it comes`, async t => {
    const { send, faults, upstream } = await start(t, { http2, signRequests: true })
    const headers = { 'content-digest': 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:' } // of no octet
    const long = Readable.from(Array(3).fill('x'.repeat(longestSignedStream / 2)))
    t.equal((await send('/signed', { method: 'POST', body: long, headers })).status, 200)
    t.match(
      [faults, upstream.seen[0]?.headers],
      [['another body'], headers],
      'the server compares the digest, not the client',
    )
    t.equal(upstream.seen[0]?.body.length, 1.5 * longestSignedStream)
  })

  t.test(`over ${protocol} signs again after a refusal of its signature, once`, async t => {
    const { upstream, send, faults } = await start(t, { http2, signRequests: true })
    const { serve } = upstream
    let refusals = 1
    upstream.serve = (...given) => (refusals-- > 0 ? askForSignature(...given) : serve(...given))
    t.match(await send('/signed', { method: 'POST', body: 'a body' }), { status: 200 })
    const [first, second] = upstream.seen.map(({ headers }) => headers.signature)
    t.not(first, second)
    t.same(faults, [undefined])
    refusals = 9
    t.match(await send('/signed'), { status: 401 })
    t.equal(refusals, 7)
  })

  t.test(`over ${protocol} rejects a stream that is too long to be signed, and sends nothing`, async t => {
    const { upstream, send } = await start(t, { http2, signRequests: true })
    const piece = 'x'.repeat(65_536)
    let pieces = 0
    const endless = Readable.from(
      (function* () {
        for (;;) {
          pieces += 1
          yield piece
        }
      })(),
    )
    const tooLong = { name: 'ClientError', code: 'body_too_long_to_sign', message: /Content-Digest/ }
    await t.rejects(send('/signed', { method: 'POST', body: endless }), tooLong)
    t.ok(endless.destroyed)
    t.ok(pieces < 64, `${pieces} pieces`)
    const announced = new Readable({ read() {} })
    const headers = { 'content-length': String(longestSignedStream + 1) }
    await t.rejects(send('/signed', { method: 'POST', body: announced, headers }), tooLong)
    t.ok(announced.destroyed)
    const most = Readable.from(Array(16).fill(piece))
    t.equal((await send('/signed', { method: 'POST', body: most })).status, 200, 'control: the most that fits')
    t.equal(upstream.seen.length, 1)
  })

  t.test(`over ${protocol} ends the collection of a body with its request`, async t => {
    const { upstream, send } = await start(t, { http2, signRequests: true })
    const silent = new Readable({ read() {} })
    const abort = new AbortController()
    const sent = send('/signed', { method: 'POST', body: silent, signal: abort.signal })
    setTimeout(() => abort.abort(), 50)
    await t.rejects(sent, { name: 'AbortError' })
    t.ok(silent.destroyed)
    const broken = new Readable({ read: () => broken.destroy(new Error('the disk is broken')) })
    await t.rejects(send('/signed', { method: 'POST', body: broken }), { message: 'the disk is broken' })
    t.same(upstream.seen, [])
    t.equal((await send('/signed')).status, 200, 'control')
  })
}

t.test('collects a stream only at a path that asked for signatures', async t => {
  const { send, signed, faults } = await start(t)
  const stream = () => ({ method: 'POST', body: Readable.from(['a ', 'body']) }) as const
  t.equal((await send('/signed/1')).status, 200)
  t.equal((await send('/open', stream())).status, 200)
  t.equal((await send('/signed/2', stream())).status, 401, 'a stream cannot be sent twice')
  t.equal((await send('/signed/2?a', stream())).status, 200)
  t.same(signed(), [false, true, false, false, true])
  t.same(faults, [undefined, undefined])
})

t.test('remembers a bounded number of paths', async t => {
  const { send, upstream } = await start(t)
  const stream = () => ({ method: 'POST', body: Readable.from(['a ', 'body']) }) as const
  for (const path of ['/signed/first', '/signed/second']) await send(path, stream())
  await Promise.all(Array.from({ length: mostSignedPaths - 1 }, (_, at) => send(`/signed/${at}`, stream())))
  t.equal((await send('/signed/second', stream())).status, 200)
  t.equal((await send('/signed/first', stream())).status, 401, 'the oldest is forgotten')
  t.ok(upstream.seen.length > mostSignedPaths)
})

const keys = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
  'RSA-2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
}

for (const [kind, makeKey] of Object.entries(keys))
  t.test(`signs with a key of type ${kind}, or says why not`, async t => {
    const pki = makeDemoPki()
    const { certificate, key } = issueCertificate({
      subject: [['CN', 'alice']],
      issuer: pki.ca,
      keyPair: makeKey(),
      extendedKeyUsage: ['clientAuth'],
    })
    const identity = { certificate, key, ca: pki.ca.certificate }
    const { send, faults, signed } = await start(t, { identity }, { pki })
    if (kind === 'P-521') {
      const impossible = { name: 'ClientError', code: 'signature_impossible', message: /ec secp521r1/ }
      await t.rejects(send('/signed'), impossible)
      await t.rejects(send('/signed'), impossible)
      t.equal((await send('/open')).status, 200, 'what needs no signature is sent')
      t.same(signed(), [false, false])
    } else {
      t.equal((await send('/signed', { method: 'POST', body: 'a body' })).status, 200)
      t.same(faults, [undefined])
    }
  })

t.test('signs nothing over TLS 1.2 without the extended master secret, and says why', async t => {
  for (const secureOptions of [0, 1]) {
    const tls: FakeOptions = { maxVersion: 'TLSv1.2', secureOptions } // 1: SSL_OP_NO_EXTENDED_MASTER_SECRET
    const { send, upstream } = await start(t, { minVersion: 'TLSv1.2', tokenBinding: 'certificate' }, tls)
    upstream.issue = () => ({ binding: 'certificate' })
    const sent = send('/signed')
    if (secureOptions === 0) t.equal((await sent).status, 200, 'control: with it')
    else await t.rejects(sent, { code: 'signature_impossible', message: /the connection has no channel binding/ })
  }
})

t.test('keeps a signature of the caller beside its own, and sets the channel binding itself', async t => {
  const { send, upstream } = await start(t, { signRequests: true })
  const headers = { 'signature-input': 'sig=("@method");tag="mine"', signature: 'sig=:AAAA:' }
  await send('/open', { headers })
  const [seen] = upstream.seen
  t.match(seen?.headers['signature-input'], /^sig=\("@method"\);tag="mine", tlsbound=\("@method" "@target-uri"/)
  t.match(seen?.headers.signature, /^sig=:AAAA:, tlsbound=:/)
  await t.rejects(send('/open', { headers: { 'TLS-Channel-Binding': 'tls-exporter=:AAAA:' } }), TypeError)
})

t.test('ignores an Accept-Signature that asks for another kind of signature', async t => {
  const challenges = ['sig=("@method");tag="other"', 'sig=("@method")', 'nonsense(', 'sig=1', 'x'.repeat(10_000)]
  for (const challenge of challenges) {
    const { upstream, send } = await start(t)
    const fields = { 'www-authenticate': 'Bearer error="any"', 'accept-signature': challenge }
    upstream.serve = (_request, response) => json(response, 401, {}, fields)
    t.equal((await send('/')).status, 401)
    t.equal(upstream.seen.length, 1)
  }
  const { upstream, send } = await start(t)
  upstream.serve = (...given) => askForSignature(...given)
  t.equal((await send('/')).status, 401)
  t.equal(upstream.seen.length, 2, 'control')
})
