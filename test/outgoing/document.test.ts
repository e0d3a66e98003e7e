// Fetching documents: a small JSON document or an error, in limited time and memory, whatever the server does.
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { verifySignature } from '../../src/cli/judge-token.ts'
import { connect } from '../../src/client/client.ts'
import { OAuthError } from '../../src/core/errors.ts'
import { deliver } from '../../src/notify/deliver.ts'
import { largestDocument } from '../../src/outgoing/document.ts'
import type { OutgoingProblem } from '../../src/outgoing/failure.ts'
import { fetchJson, requestDeadlines } from '../../src/outgoing/request.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { createRemoteReporterKeys } from '../../src/server/incidents/reporter-keys.ts'
import { openIssuerKeys } from '../../src/verify/issuer-keys.ts'
import { authority, drip, serverIdentity, startTcpServer, startTlsServer } from '../helpers/tls/tls-server.ts'

const ca = authority.certificate
const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`

/** A response with this body and its length. */
function answer(body: string | Buffer, fields = 'Content-Type: application/json', status = '200 OK'): Buffer {
  const length = Buffer.byteLength(body)
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status}\r\n${fields}\r\nContent-Length: ${length}\r\n\r\n`),
    Buffer.from(body),
  ])
}

const end = (bytes: string | Buffer) => (socket: TLSSocket) => void socket.end(bytes)

t.test('returns the JSON of a 200, in each framing', async t => {
  for (const [name, bytes] of Object.entries({
    'with a length': answer('{"a":"\u00e9"}'),
    'in chunks': `${chunked}3\r\n{"a\r\n5\r\n":1}\n\r\n0\r\n\r\n`,
    'ended by the connection': `${head}\r\n[1]`,
    'after interim answers': `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3)}${answer('1')}`,
    'at the limit': answer(`"${'x'.repeat(largestDocument - 2)}"`),
  })) {
    const port = await startTlsServer(t, end(bytes))
    t.not(await fetchJson(new URL(`https://localhost:${port}/`), { ca }), undefined, name)
  }
  const port = await startTlsServer(t, end(answer('{}')))
  t.same(await fetchJson(new URL(`https://127.0.0.1:${port}/`), { ca }), {}, 'from an IP address')
})

t.test('requests path and query as uncompressed JSON, and sends no other header', async t => {
  const seen: string[] = []
  const identity = serverIdentity()
  const server = createSecureServer({ cert: identity.certificate, key: identity.key, allowHTTP1: true })
  server.on('request', ({ method, url, rawHeaders, httpVersion }, response) => {
    seen.push(`${method} ${url} ${httpVersion} ${rawHeaders.join(' ')}`)
    response.end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await fetchJson(new URL(`https://localhost:${port}/keys?a=b#c`), { ca, accept: 'application/jwk-set+json' })
  const fields = 'user-agent tlsbound accept application/jwk-set+json accept-encoding identity Connection close'
  t.same(seen, [`GET /keys?a=b 1.1 host localhost:${port} ${fields}`])
})

const bad: Readonly<Record<string, [OutgoingProblem, RegExp, (socket: TLSSocket) => void]>> = {
  'a redirect': [
    'redirect',
    /: it responds with 302 and redirects to https:\/\/other\.example\/; redirects are not followed: configure the final address$/,
    end(answer('', 'Location: https://other.example/', '302 Found')),
  ],
  'a redirect without Location': [
    'redirect',
    /: it responds with 304; redirects/,
    end(answer('', 'X: y', '304 Not Modified')),
  ],
  'not found': [
    'status',
    /: it responds with 404 instead of a document; check the address$/,
    end(answer('', 'X: y', '404 Not Found')),
  ],
  'a server error': ['status', /: it responds with 503 .*; try again later$/, end(answer('{}', 'X: y', '503 Busy'))],
  'another success': ['status', /: it responds with 203 /, end(answer('{}', 'X: y', '203 Other'))],
  'no content': ['status', /: it responds with 204 /, end('HTTP/1.1 204 No Content\r\n\r\n')],
  'a page': [
    'not_json',
    /: the response is not JSON in UTF-8, but 6 octets of text\/html; check the address$/,
    end(answer('<html>', 'Content-Type: text/html')),
  ],
  nothing: ['not_json', /but 0 octets of content without a type/, end(answer('', 'X: y'))],
  'truncated JSON': ['not_json', /but 5 octets of application\/json/, end(answer('{"a":'))],
  'Latin-1': ['not_json', /not JSON in UTF-8/, end(answer(Buffer.from('{"a":"\xe9"}', 'latin1')))],
  'UTF-16': ['not_json', /not JSON in UTF-8/, end(answer(Buffer.from('\ufeff{}', 'utf16le')))],
  'compressed JSON': [
    'encoded',
    /: the response is encoded as gzip, which was not requested/,
    end(answer(gzipSync('{}'), 'Content-Encoding: gzip')),
  ],
  'too much at once': [
    'too_large',
    /: the response has more than 262144 octets; check/,
    end(answer(' '.repeat(largestDocument + 1))),
  ],
  'chunks without end': [
    'too_large',
    /more than 262144 octets/,
    socket => {
      socket.write(chunked)
      const timer = setInterval(() => socket.write(`4000\r\n${' '.repeat(16_384)}\r\n`), 5)
      socket.once('close', () => clearInterval(timer))
    },
  ],
  'half of the body': [
    'closed',
    /closed the connection before it was done \(ECONNRESET\)/,
    end(`${head}Content-Length: 9\r\n\r\n[1]`),
  ],
  'truncated chunks': ['closed', /ECONNRESET/, end(`${chunked}3\r\n[1]\r\n`)],
  'half a head': ['closed', /ECONNRESET/, end('HTTP/1.1 200 OK\r\nContent-')],
  'no response': ['closed', /ECONNRESET/, socket => socket.end()],
  'an abrupt end': ['closed', /ECONNRESET/, socket => void socket.destroy()],
  'another protocol': ['not_http', /: the response is not valid HTTP\/1\.1 \(HPE_/, end('SSH-2.0-OpenSSH_9.2\r\n')],
  'two lengths': ['not_http', /HPE_/, end(`${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`)],
  'a head without end': [
    'not_http',
    /HPE_HEADER_OVERFLOW/,
    end(`${head}${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(100)}`),
  ],
  'interim answers without end': [
    'not_http',
    /more than 10 interim responses/,
    socket => {
      const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(8)), 5)
      socket.once('close', () => clearInterval(timer))
    },
  ],
  'another protocol after the head': [
    'closed',
    /ECONNRESET/,
    end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
  ],
}

t.test('reports the address, the finding and the remedy for a response without a document', async t => {
  await Promise.all(
    Object.entries(bad).map(async ([name, [code, message, speak]]) => {
      const url = new URL(`https://localhost:${await startTlsServer(t, speak)}/keys`)
      const found = (await fetchJson(url, { ca, deadlines: { whole: 30_000 } }).catch(error => error)) as Error
      t.match(found, { name: 'OutgoingError', code, message, address: url.href }, name)
      t.ok(found.message.startsWith(`${url.href}: `), name)
    }),
  )
})

/** Servers that never finish, each in another phase; they send one octet every 20 milliseconds. */
const endless: Readonly<Record<string, [RegExp, (t: never) => Promise<number>]>> = {
  'before the handshake': [/no TLS handshake within 400 ms/, t => startTcpServer(t, () => {})],
  'in the handshake': [
    /no TLS handshake within 400 ms/,
    t =>
      startTcpServer(t, socket => {
        socket.write(Buffer.of(22, 3, 3, 64, 0))
        drip(socket, '\x02\x00\x3f\xfc')
      }),
  ],
  'before the head': [/no response head within 500 ms/, t => startTlsServer(t, () => {})],
  'in the head': [/no response head within 500 ms/, t => startTlsServer(t, socket => drip(socket, `${head}X-A: a`))],
  'in interim answers': [
    /no response head within 500 ms/,
    t => startTlsServer(t, socket => drip(socket, `HTTP/1.1 103 Early Hints\r\nX-A: ${'a'.repeat(2000)}`)),
  ],
  'in a body with a length': [
    /no complete response within 1500 ms/,
    t =>
      startTlsServer(t, socket => {
        socket.write(`${head}Content-Length: 60000\r\n\r\n`)
        drip(socket, ' ')
      }),
  ],
  'in chunks': [
    /no complete response within 1500 ms/,
    t =>
      startTlsServer(t, socket => {
        socket.write(chunked)
        drip(socket, '1\r\n \r\n')
      }),
  ],
}

t.test('times out on a server that sends one octet at a time, in each phase', async t => {
  t.same(
    requestDeadlines,
    { connect: 5000, handshake: 5000, head: 10_000, whole: 15_000 },
    'as in docs/reference/limits.md',
  )
  const deadlines = { connect: 300, handshake: 400, head: 500, whole: 1500 }
  await Promise.all(
    Object.entries(endless).map(async ([name, [message, start]]) => {
      const url = new URL(`https://localhost:${await start(t as never)}/keys`)
      const found = await fetchJson(url, { ca, deadlines }).catch(error => error)
      t.match(found, { code: 'timed_out', message }, name)
    }),
  )
})

const client = issueCertificate({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] })
const identity = { certificate: client.certificate, key: client.key, ca }

t.test('each caller times out on a server that sends its body slowly, and reports it', async t => {
  const port = await startTlsServer(t, socket => {
    socket.write(chunked)
    drip(socket, '1\r\n \r\n')
  })
  const uri = `https://localhost:${port}`
  const late = /no complete response within 15 s|no complete response within 1 s/
  const timeout = 1000
  const clock = () => performance.now()
  const channel = await connect(uri, identity)
  t.teardown(() => channel.destroy())
  const attempt = { timestamp: 0, timeout, signal: new AbortController().signal }
  const hook = { url: new URL(uri), secrets: [Buffer.alloc(32)], ca, allowInternal: true }
  const token = 'eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6Im9uZSJ9.e30.e30'
  const delivery = await deliver(hook, { id: 'msg_1', body: '{}' }, attempt)
  t.match(delivery, { outcome: 'done' }, 'of a webhook the status counts, and the rest is given up')
  const found = await Promise.all([
    channel.token().catch(error => error),
    Promise.resolve(
      openIssuerKeys({ uri, ca }, { issuer: uri, algorithms: ['ES256'], clock, timeout }).find('ES256', undefined),
    ).catch(error => error.cause),
    Promise.resolve(createRemoteReporterKeys({ uri, ca, clock, timeout })('one')).catch(error => error.cause),
    verifySignature(token, uri, { ca }).then(({ ...signature }) => ({ message: 'why' in signature && signature.why })),
    verifySignature(token, uri, { identity }).then(({ ...signature }) => ({
      message: 'why' in signature && signature.why,
    })),
  ])
  for (const [index, { message }] of found.entries()) t.match(message, late, `${index}`)
})

t.test('rejects tokens when keys cannot be fetched, with a detail for each cause and the address', async t => {
  const rows: [detail: string, start: () => Promise<number>, found?: number | undefined, host?: string][] = [
    ['host_unknown', async () => 1, undefined, 'no-such-host.invalid'],
    ['unreachable', async () => 1],
    ['not_tls', () => startTcpServer(t, socket => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))],
    [
      'not_trusted',
      () =>
        startTlsServer(t, () => {}, { identity: issueCertificate({ subject: [], altNames: [{ dns: 'localhost' }] }) }),
    ],
    [
      'name_mismatch',
      () => startTlsServer(t, () => {}, { identity: serverIdentity({ altNames: [{ dns: 'other' }] }) }),
    ],
    [
      'outside_validity',
      () => startTlsServer(t, () => {}, { identity: serverIdentity({ notAfter: new Date(Date.now() - 1000) }) }),
    ],
    ['tls_failed', () => startTlsServer(t, () => {}, { ciphers: 'TLS_AES_128_CCM_SHA256' })],
    ['cut_off', () => startTlsServer(t, end(`${head}Content-Length: 9\r\n\r\n`))],
    ['timed_out', () => startTlsServer(t, () => {})],
    ['not_http', () => startTlsServer(t, end('220 mail\r\n'))],
    ['redirect', () => startTlsServer(t, end(answer('', 'Location: /', '301 Moved'))), 301],
    ['status', () => startTlsServer(t, end(answer('', 'X: y', '404 Not Found'))), 404],
    ['compressed', () => startTlsServer(t, end(answer('{}', 'Content-Encoding: br')))],
    ['too_large', () => startTlsServer(t, end(answer(' '.repeat(270_000))))],
    ['not_json', () => startTlsServer(t, end(answer('<html>', 'Content-Type: text/html')))],
    ['no_usable_key', () => startTlsServer(t, end(answer('{}')))],
    ['no_usable_key', () => startTlsServer(t, end(answer('null')))],
    ['no_usable_key', () => startTlsServer(t, end(answer('{"keys":[]}')))],
    ['no_usable_key', () => startTlsServer(t, end(answer('{"keys":[{"kty":"oct","k":"AA"}]}')))],
  ]
  for (const [detail, start, found, host = 'localhost'] of rows) {
    const uri = `https://${host}:${await start()}/keys`
    const options = { uri, ca, clock: () => performance.now(), timeout: 1000 }
    const { find } = openIssuerKeys({ uri, ca }, { issuer: uri, algorithms: ['ES256'], clock: options.clock })
    const issuer = async () => find('ES256', 'one')
    const reporter = createRemoteReporterKeys(options) as (id: string) => Promise<unknown>
    for (const [reason, refusal] of [
      ['issuer_unavailable', await issuer().catch(error => error)],
      ['reporter_unavailable', await reporter('one').catch(error => error)],
    ] as const) {
      t.ok(refusal instanceof OAuthError, `${reason} ${detail}`)
      t.match(
        refusal,
        { reason, detail, facts: { address: uri, found }, cause: { address: uri } },
        `${reason} ${detail}`,
      )
    }
  }
})
