// createVerifier on Node's own servers: with mutualTls and with the user's own tls.Server, over HTTP/1.1, HTTP/2 and for
// upgrade requests. N-24, N-34, N-57; I1, I2, I7; CL13.

import { constants } from 'node:crypto'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { createVerifier, mutualTls, type NodeRequest, OAuthError, type Verifier, type VerifierOptions } from 'tlsbound'
import { openConnection } from '../../src/testing/connection.ts'
import { startTestServer } from '../../src/testing/server.ts'

const audience = 'https://rs.example'
const issuer = await startTestServer({ env: { TLSBOUND_ISSUER: 'https://as.example', TLSBOUND_AUDIENCE: audience } })
t.teardown(() => issuer.close())
const { pki } = issuer
const alice = await issuer.connect('alice')
const jwks = (await alice.get('/oauth/jwks')).body as { keys: Record<string, unknown>[] }
const token = await alice.token({ token_binding: 'certificate', scope: 'notes:read' })
const proof = await alice.token({ token_binding: 'proof' })
const bound = await alice.token({ token_binding: 'connection' })
const options = { issuer: 'https://as.example', audience, jwks }
const own = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
const safe = {
  ...{ ...own, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' as const },
  secureOptions: constants.SSL_OP_NO_TICKET,
}

/** A typical handler: returns the subject of the token, or the refusal. */
function handle(verifier: Verifier, demand = {}): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    verifier.verify(request, demand).then(
      ({ claims, binding }) => response.end(JSON.stringify({ sub: claims.sub, binding })),
      error => {
        try {
          verifier.sendRefusal(response, error)
        } catch {
          response.writeHead(500).end()
        }
      },
    )
  }
}

async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function connect(
  t: Test,
  port: number,
  who: 'alice' | 'bob' | 'stranger' | null = 'alice',
  protocol = 'http/1.1',
) {
  const identity = who && { cert: pki[who].certificate, key: pki[who].key }
  const tls = { host: '127.0.0.1', port, servername: 'localhost', ca: pki.ca.certificate, ALPNProtocols: [protocol] }
  const connection = await openConnection({ ...tls, ...identity }, 'alice')
  t.teardown(() => connection.close())
  return connection
}

const servers: Record<string, (handler: RequestListener) => Server> = {
  'mutualTls, HTTP/1.1': handler => mutualTls(own)(handler),
  'mutualTls, h2': handler => mutualTls(own)(handler),
  'https, HTTP/1.1': handler => createServer(safe, handler),
  'http2, h2': handler => createSecureServer(safe, handler as never),
}
for (const [name, start] of Object.entries(servers)) {
  const protocol = name.endsWith('h2') ? 'h2' : 'http/1.1'
  t.test(`${name}: accepts a token with its own certificate only (N-24)`, async t => {
    const refusals: [string, number][] = []
    const warnings: string[] = []
    const verifier = createVerifier({
      ...options,
      onRefusal: (_request, { reason }, status) => refusals.push([reason, status]),
      onWarning: message => warnings.push(message),
    })
    const port = await listen(t, start(handle(verifier)))
    const here = await connect(t, port, 'alice', protocol)
    t.match(await here.get('/', token), { status: 200, body: { sub: 'alice', binding: 'certificate' } })
    t.match(await here.get('/', token), { status: 200 }, 'remembered')
    t.match(await here.get('/', proof, here.prove(proof)), { status: 200, body: { binding: 'proof' } })
    t.match(await here.get('/', proof), { status: 401, body: { reason: 'proof_missing' } })
    t.match(await here.get('/', bound), { status: 401, body: { reason: 'connection_mismatch' } })
    t.match(await (await connect(t, port, 'bob', protocol)).get('/', token), {
      status: 401,
      headers: { 'www-authenticate': /^Bearer error="invalid_token", / },
      body: { error: 'invalid_token', reason: 'certificate_mismatch' },
    })
    t.match(await here.get('/'), { status: 401, headers: { 'www-authenticate': 'Bearer realm="tlsbound"' } })
    t.same(refusals, [
      ['proof_missing', 401],
      ['connection_mismatch', 401],
      ['certificate_mismatch', 401],
      ['no_token', 401],
    ])
    t.same(warnings, [], 'the settings of the server are safe')
  })
}

t.test('enforces a level, a scope and a per-request proof for each call', async t => {
  const verifier = createVerifier({ ...options, binding: 'proof' })
  const port = await listen(t, mutualTls(own)(handle(verifier, { proof: 'per-request' })))
  const here = await connect(t, port)
  const weak = await connect(t, await listen(t, mutualTls(own)(handle(verifier))))
  t.match(await weak.get('/', token), { status: 401, body: { reason: 'binding_too_weak' } })
  t.match(await here.get('/', proof, here.prove(proof)), { status: 401, body: { reason: 'proof_invalid' } })
  const once = here.prove(proof, { jti: 'one', htm: 'GET', htu: '/' })
  t.match(await here.get('/', proof, once), { status: 200 })
  t.match(await here.get('/', proof, once), { status: 401, body: { reason: 'proof_invalid' } }, 'a second time')

  const writing = await listen(t, mutualTls(own)(handle(createVerifier(options), { scope: 'notes:write' })))
  t.match(await (await connect(t, writing)).get('/', token), { status: 403, body: { reason: 'scope_missing' } })
  t.match(await (await connect(t, writing)).get('/', await alice.token({ token_binding: 'certificate' })), {
    status: 200,
  })
})

t.test('verifies an upgrade request like any other', async t => {
  const verifier = createVerifier(options)
  for (const server of [mutualTls(own)(() => {}), createServer(safe)]) {
    server.on('upgrade', (request: IncomingMessage, socket) => {
      verifier.verify(request).then(
        ({ claims }) =>
          socket.end(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nx-sub: ${claims.sub}\r\n\r\n`),
        error => verifier.sendRefusal(socket, error),
      )
    })
    const port = await listen(t, server)
    const upgrade = async (who: 'alice' | 'bob') => {
      const { socket } = await connect(t, port, who)
      const chunks: Buffer[] = []
      socket.on('data', chunk => chunks.push(chunk))
      socket.write(
        `GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer ${token}\r\n\r\n`,
      )
      await new Promise(ended => socket.once('end', ended))
      return Buffer.concat(chunks).toString()
    }
    t.match(await upgrade('alice'), /^HTTP\/1\.1 101 .*x-sub: alice/s)
    t.match(await upgrade('bob'), /^HTTP\/1\.1 401 Unauthorized.*www-authenticate: Bearer .*certificate_mismatch/s)
  }
})

t.test('warns of a TLS server with unsafe settings, and rejects its requests', async t => {
  const warnings: string[] = []
  const start = (more: object) => {
    const verifier = createVerifier({ ...options, onWarning: message => warnings.push(message) })
    return listen(t, createServer({ ...own, ...more }, handle(verifier)))
  }
  const without = await connect(t, await start({}), 'alice')
  t.match(await without.get('/', token), { status: 401, body: { reason: 'no_certificate' } })
  t.match(await without.get('/', token), { status: 401 })
  t.match(warnings.splice(0), [/requestCert is off/, /sessions can be resumed/, /renegotiation is allowed/], 'once')

  const lax = await start({ requestCert: true, rejectUnauthorized: false })
  t.match(await (await connect(t, lax, 'stranger')).get('/', token), {
    status: 401,
    body: { reason: 'certificate_untrusted' },
  })
  t.match(await (await connect(t, lax, null)).get('/', token), { status: 401, body: { reason: 'no_certificate' } })
  t.match(await (await connect(t, lax)).get('/', token), { status: 200 }, 'control')
  t.match(warnings.splice(0), [
    /rejectUnauthorized is off.*; set rejectUnauthorized: true$/,
    /resumed/,
    /renegotiation/,
  ])
})

t.test(
  'warns once that it cannot read the settings of a TLS server whose connections an HTTP server reads',
  async t => {
    const warnings: string[] = []
    const verifier = createVerifier({ ...options, onWarning: message => warnings.push(message) })
    const http = createHttpServer(handle(verifier))
    const port = await listen(
      t,
      createTlsServer(safe, socket => http.emit('connection', socket)),
    )
    const here = await connect(t, port)
    t.match(await here.get('/', token), { status: 200 })
    t.match(await here.get('/', token), { status: 200 })
    t.match(await (await connect(t, port)).get('/', token), { status: 200 })
    t.same(warnings.length, 1)
    t.match(warnings, [/^the settings of this TLS server cannot be read, .*; it needs requestCert: true, /])
  },
)

t.test('rejects plain HTTP, which has no TLS connection', async t => {
  const verifier = createVerifier(options)
  const request = { headers: { authorization: `Bearer ${token}` }, rawHeaders: [], url: '/', method: 'GET', socket: {} }
  const refusal = await verifier.verify(request as unknown as NodeRequest).catch(error => error)
  t.match(refusal, { reason: 'no_certificate', detail: 'not_mutual_tls' })
})

t.test('calls isRevoked on every request', async t => {
  const revoked = new Set<string>()
  const refusals: string[][] = []
  const verifier = createVerifier({
    ...options,
    isRevoked: ({ jti }) => revoked.has(jti),
    onRefusal: (_request, { reason, detail }) => refusals.push([reason, detail]),
  })
  const port = await listen(t, mutualTls(own)(handle(verifier)))
  const here = await connect(t, port)
  const [one, other] = [
    await alice.token({ token_binding: 'certificate' }),
    await alice.token({ token_binding: 'certificate' }),
  ]
  t.match(await here.get('/', one), { status: 200 })
  revoked.add(JSON.parse(Buffer.from(one.split('.')[1] as string, 'base64url').toString()).jti)
  t.match(await here.get('/', one), { status: 401, body: { reason: 'revoked' } })
  t.same(refusals, [['revoked', 'by_hook']])
  t.match(await here.get('/', other), { status: 200 }, 'control')
})

t.test('rejects an isRevoked that returns a promise, and does not refuse its tokens as revoked', async t => {
  const start = (isRevoked: unknown) => {
    const verifier = createVerifier({ ...options, isRevoked } as VerifierOptions)
    const errors: unknown[] = []
    const listener = mutualTls(own)((request, response) => {
      verifier.verify(request).then(
        () => response.end('{}'),
        error => {
          errors.push(error)
          response.writeHead(500).end('{}')
        },
      )
    })
    return { errors, port: listen(t, listener) }
  }
  const control = start(() => false)
  t.match(await (await connect(t, await control.port)).get('/', token), { status: 200 }, 'control')
  const { errors, port } = start(() => Promise.reject(new Error('no database')))
  t.match(await (await connect(t, await port)).get('/', token), { status: 500 })
  t.match(errors, [{ name: 'TypeError', message: /^isRevoked must return true or false from memory, not a promise/ }])
})

t.test('does not drop a demand of the options for an undefined member of the demand of a route', async t => {
  const start = (demand: object) =>
    listen(t, mutualTls(own)(handle(createVerifier({ ...options, scope: 'notes:delete' }), demand)))
  t.match(await (await connect(t, await start({ scope: '' }))).get('/', token), { status: 200 }, 'control')
  t.match(await (await connect(t, await start({ scope: undefined }))).get('/', token), {
    status: 403,
    body: { reason: 'scope_missing' },
  })
})

t.test('accepts several issuers, each with its own keys', async t => {
  const second = await startTestServer({
    pki,
    env: { TLSBOUND_ISSUER: 'https://two.example', TLSBOUND_AUDIENCE: audience },
  })
  t.teardown(() => second.close())
  const client = await second.connect('alice')
  const theirs = (await client.get('/oauth/jwks')).body as { keys: unknown[] }
  const verifier = createVerifier({
    issuers: [options, { issuer: 'https://two.example', audience: [audience], jwks: theirs }],
  })
  const here = await connect(t, await listen(t, mutualTls(own)(handle(verifier))))
  t.match(await here.get('/', token), { status: 200 })
  const ofSecond = await client.token({ token_binding: 'certificate' })
  t.match(await here.get('/', ofSecond), { status: 200 })
  const swapped = createVerifier({
    issuers: [
      { ...options, jwks: theirs },
      { issuer: 'https://two.example', audience, jwks },
    ],
  })
  const there = await connect(t, await listen(t, mutualTls(own)(handle(swapped))))
  t.match(
    await there.get('/', token),
    { status: 401, body: { reason: 'bad_signature' } },
    'not with the keys of another issuer',
  )
  const only = createVerifier({
    issuers: [
      { issuer: 'https://x', audience, jwks },
      { issuer: 'https://y', audience, jwks },
    ],
  })
  const nowhere = await connect(t, await listen(t, mutualTls(own)(handle(only))))
  t.match(await nowhere.get('/', token), { status: 401, body: { reason: 'wrong_issuer' } })
})

t.test('throws an unhandled error again instead of answering it as a refusal', async t => {
  const verifier = createVerifier(options)
  t.throws(() => verifier.describeRefusal(new RangeError('x')), { name: 'RangeError' })
  t.match(verifier.describeRefusal(new OAuthError('invalid_token', 'expired', 'ended')), {
    status: 401,
    body: { reason: 'expired' },
  })
})

t.test('throws a TypeError that names the invalid option', t => {
  const none = { issuer: undefined, audience: undefined, jwks: undefined }
  const rows: [object, RegExp][] = [
    [{ issuer: '' }, /^issuer /],
    [{ audience: [] }, /^audience /],
    [{ jwks: { keys: [] } }, /^jwks: /],
    [{ jwks: { keys: 'x' } }, /^jwks: /],
    [{ jwks: { uri: 'http://x' } }, /^jwks\.uri /],
    [{ jwks: { url: 'https://x' } }, /^jwks\.url /],
    [{ issuer: 'as.example', jwks: undefined }, /^jwks /],
    [{ profile: 'keycloack' }, /^profile .*keycloak/],
    [{ profile: { types: [] } }, /^profile\.types /],
    [{ profile: { types: ['jwt'], algorithms: ['HS256'] } }, /^profile\.algorithms /],
    [{ profile: { types: ['jwt'], algorithms: ['none'] } }, /^profile\.algorithms /],
    [{ profile: { types: ['jwt'], maximumLength: 0 } }, /^profile\.maximumLength /],
    [{ profile: { types: ['jwt'], type: 'x' } }, /^profile\.type /],
    [{ scope: 'a  b' }, /^scope /],
    [{ binding: 'none' }, /^binding /],
    [{ proof: 'once' }, /^proof /],
    [{ resourceMetadata: 'http://x' }, /^resourceMetadata /],
    [{ resourceMetadata: 'https://x/"é' }, /^resourceMetadata /],
    [{ issuers: [] }, /^issuers /],
    [{ ...none, issuers: [options, options] }, /^issuers\[1\]: issuer .* twice/],
  ]
  t.doesNotThrow(() => createVerifier(options), 'control')
  for (const [wrong, message] of rows)
    t.throws(
      () => createVerifier({ ...options, ...wrong } as VerifierOptions),
      { name: 'TypeError', message },
      JSON.stringify(wrong),
    )
  t.end()
})

t.test('does not offer HTTP/2 with an Express app, which cannot handle it', async t => {
  const app = Object.assign((_request: unknown, response: ServerResponse) => response.end('{}'), { handle() {} })
  t.throws(() => mutualTls({ ...own, http2: true })(app as never), {
    name: 'TypeError',
    message: /^http2: true, but Express/,
  })
  const port = await listen(t, mutualTls(own)(app as never))
  const here = await connect(t, port, 'alice', 'http/1.1')
  t.match(await here.get('/'), { status: 200 })
  const both = await openConnection(
    { host: '127.0.0.1', port, servername: 'localhost', ca: own.ca, ALPNProtocols: ['h2', 'http/1.1'] },
    'alice',
  )
  t.teardown(() => both.close())
  t.equal(both.socket.alpnProtocol, 'http/1.1')
})
