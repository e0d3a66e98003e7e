// Handshakes that no honest client sends: old, weak, torn, huge, slow or malformed. TS06, TS19, TS20, TS22, TS23, TS26, TS27.
// None is served, none does harm, and the next honest client is served.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import {
  alpn,
  buildHello,
  buildRecords,
  type Extension,
  type FirstWord,
  type Hello,
  sendHello,
  serverName,
  startRelay,
  tls12,
  tls13,
  tryHandshake,
} from '../../helpers/tls/raw-tls.ts'

t.setTimeout(60_000) // ten of them are spent waiting
const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
t.teardown(() => server.close())
const bystander = await server.connect('alice')
const token = await bystander.token()
/** A test after which the connected client is still served, and others can connect. */
function attack(name: string, body: (t: Test) => Promise<void>): void {
  t.test(name, async t => {
    await body(t)
    t.match(await bystander.get('/api/whoami', token), { status: 200 })
    const newcomer = await server.connect('alice')
    t.match(await newcomer.get('/binding'), { status: 200 })
    newcomer.close()
  })
}

const accepted: FirstWord = { hello: 'TLSv1.3' }
const alert = { badCertificateName: 112, decode: 50, illegal: 47, protocol: 120, failure: 40, version: 70 } as const
type Row = readonly [name: string, hello: Hello | Buffer, expected: FirstWord]
const having = (...extensions: Extension[]): Hello => ({ extensions: [...tls13, ...extensions] })

async function sendEach(t: Pick<Test, 'same'>, rows: readonly Row[], port = server.port): Promise<void> {
  for (const [name, hello, expected] of rows)
    t.same(await sendHello(port, Buffer.isBuffer(hello) ? hello : buildHello(hello)), expected, name)
}

// Ten seconds pass while the other tests run.
const slow = ['silence', 'a ClientHello, then silence', 'an octet of a ClientHello each half second'] as const
const slowEnds = slow.map(
  kind =>
    new Promise<number>(resolve => {
      const began = performance.now()
      const socket = connect(server.port, '127.0.0.1')
      const hello = buildHello()
      if (kind === slow[1]) socket.write(hello)
      let sent = 0
      const drip = setInterval(() => kind === slow[2] && socket.write(hello.subarray(sent, ++sent)), 500)
      const limit = setTimeout(() => socket.destroy(), 15_000)
      socket.on('error', () => {}).resume()
      socket.on('close', () => {
        clearInterval(drip)
        clearTimeout(limit)
        resolve(performance.now() - began)
      })
    }),
)

attack('accepts a server name or rejects it with an alert, whatever its form (TS06)', async t => {
  const good = [
    'localhost',
    'LocalHost',
    'localhost.',
    'xn--bcher-kva.example',
    'bücher',
    '127.0.0.1',
    '',
    'a'.repeat(255),
  ]
  await sendEach(t, [
    ...good.map((name): Row => [`a name such as ${name}`, having(serverName(name)), accepted]),
    ['256 octets', having(serverName('a'.repeat(256))), { alert: alert.badCertificateName }],
    ['60 000 octets', having(serverName('a'.repeat(60_000))), { alert: alert.badCertificateName }],
    ['a NUL', having(serverName('local\0host')), { alert: alert.badCertificateName }],
    ['a name of another type', having(serverName('localhost', 1)), { alert: alert.decode }],
    ['an empty extension', having([0, Buffer.alloc(0)]), { alert: alert.decode }],
    ['a length beyond the end', having([0, Buffer.from('00ff00', 'hex')]), { alert: alert.decode }],
    ['two of them', having(serverName('a.test'), serverName('b.test')), { alert: alert.illegal }],
  ])
})

attack('speaks h2 and http/1.1 only, and prefers h2 (TS19)', async t => {
  const many = Array.from({ length: 254 }, (_, index) => `p${index}`)
  const refused: FirstWord = { alert: alert.protocol }
  await sendEach(t, [
    ['h2', having(alpn('h2')), accepted],
    ['h2 as the last of 255', having(alpn(...many, 'h2')), accepted],
    ['none of 254', having(alpn(...many)), refused],
    ['ftp and smtp', having(alpn('ftp', 'smtp')), refused],
    ['H2', having(alpn('H2')), refused],
    ['h2 with a NUL', having(alpn('h2\0')), refused],
    ['255 arbitrary octets', having(alpn(randomBytes(255))), refused],
    ['an empty list', having(alpn()), { alert: alert.decode }],
    ['an empty name', having(alpn('')), { alert: alert.decode }],
    ['an empty extension', having([16, Buffer.alloc(0)]), { alert: alert.decode }],
    ['a length beyond the end', having([16, Buffer.from('000309683200', 'hex')]), { alert: alert.decode }],
  ])
  for (const [ALPNProtocols, expected] of [
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['ftp', 'http/1.1'], 'http/1.1'],
  ] as const) {
    const connection = await server.connect('alice', { ALPNProtocols: [...ALPNProtocols] })
    t.equal(connection.socket.alpnProtocol, expected)
    t.match(await connection.get('/binding'), { status: 200 })
  }
})

attack('does not serve a client that speaks another protocol than negotiated (TS19)', async t => {
  const request = requestText('GET /binding', [])
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'
  t.match(await exchange(await server.connect('alice'), request, { until: 1 }), { answers: [{ status: 200 }] })
  const spoken = await exchange(await server.connect('alice'), preface, { until: 'closed' })
  t.match(spoken, { received: /^HTTP\/1.1 4\d\d /, closed: true }, 'HTTP/2 where HTTP/1.1 was agreed on')
  const socket = connectTls({ port: server.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const { received } = await exchange({ socket }, request, { until: 'closed' })
  t.notMatch(received, /HTTP\/1.1|TLSv1/, 'HTTP/1.1 where HTTP/2 was agreed on')
})

attack('rejects versions before TLS 1.2 (TS23, ASVS 12.1.1)', async t => {
  const suites = { ciphers: [0xc02b, 0xc02c], extensions: tls12 }
  await sendEach(t, [
    ['TLS 1.2', { ...suites, version: 0x0303 }, { hello: 'TLSv1.2' }],
    ['TLS 1.1', { ...suites, version: 0x0302 }, { alert: alert.version }],
    ['TLS 1.0', { ...suites, version: 0x0301 }, { alert: alert.version }],
    ['SSL 3', { ...suites, version: 0x0300 }, { alert: alert.failure }],
    [
      'SSL 2',
      Buffer.from(`801c0100020003000000100700c0${randomBytes(16).toString('hex')}`, 'hex'),
      { alert: alert.version },
    ],
  ])
  const { certificate: cert, key } = server.pki.alice
  const options = { port: server.port, cert, key, rejectUnauthorized: false, ciphers: 'DEFAULT@SECLEVEL=0' }
  t.equal(await tryHandshake(options), 'connected')
  for (const maxVersion of ['TLSv1.1', 'TLSv1'] as const)
    t.equal(
      await tryHandshake({ ...options, minVersion: 'TLSv1', maxVersion }),
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      maxVersion,
    )
})

attack('rejects cipher suites without forward secrecy or authenticated encryption (TS23, ASVS 12.1.2)', async t => {
  const { pki } = server
  const rsa = issueCertificate({ subject: [['CN', 'localhost']], issuer: pki.ca, keyType: 'rsa' })
  const withRsa = await startTestServer({
    pki: { ...pki, server: rsa },
    env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' },
  })
  t.teardown(() => withRsa.close())
  const offering = (suite: number): Hello => ({ ciphers: [suite], extensions: tls12 })
  const table = [
    [
      server.port,
      { good: [0xc02b, 0xc02c, 0xcca9], bad: [0xc009, 0xc00a, 0xc023, 0xc024, 0xc008, 0xc007, 0xc006, 0xc0ac] },
    ],
    [withRsa.port, { good: [0xc02f, 0xc030, 0xcca8], bad: [0x009c, 0x009d, 0x002f, 0x003c, 0x000a, 0x0005, 0x0004] }],
    [withRsa.port, { good: [], bad: [0xc013, 0xc027, 0xc012, 0x009e, 0x0033, 0x0016, 0x0001, 0x0002, 0x003b] }],
    [withRsa.port, { good: [], bad: [0x00a6, 0x0034, 0x0018, 0xc018, 0xc015, 0x008c, 0x00a8, 0x0009, 0x0003, 0x0000] }],
  ] as const
  for (const [port, { good, bad }] of table)
    await sendEach(
      t,
      [
        ...good.map((suite): Row => [`suite ${suite.toString(16)}`, offering(suite), { hello: 'TLSv1.2' }]),
        ...bad.map((suite): Row => [`suite ${suite.toString(16)}`, offering(suite), { alert: alert.failure }]),
      ],
      port,
    )
})

attack('accepts a ClientHello with a post-quantum key share in several segments (TS26)', async t => {
  for (const pieces of [2, 3, 17, 50]) {
    let length = 0
    const port = await startRelay(t, server.port, async function* (bytes) {
      for await (const part of bytes) {
        const size = length === 0 ? Math.ceil(part.length / pieces) : part.length
        length += part.length
        for (let at = 0; at < part.length; at += size) yield part.subarray(at, at + size)
      }
    })
    const connection = await server.connect('alice', { port })
    t.ok(length > 1184, 'it contains the key share of X25519MLKEM768')
    t.match(await connection.get('/binding'), { status: 200 }, `${pieces} pieces`)
  }
})

attack('accepts or rejects a huge ClientHello immediately (TS27)', async t => {
  const many = Array.from({ length: 4000 }, (_, index): Extension => [0x5000 + index, Buffer.alloc(0)])
  const zeros = Buffer.alloc(3 * 65_536)
  const began = performance.now()
  await sendEach(t, [
    ['4 000 unknown extensions', having(...many), accepted],
    ['60 000 octets of padding', having([21, Buffer.alloc(60_000)]), accepted],
    ['an extension twice', having([23, Buffer.alloc(0)]), { alert: alert.illegal }],
    ['200 000 octets', buildRecords(Buffer.concat([Buffer.from('01030000', 'hex'), zeros])), { alert: alert.illegal }],
    [
      '16 MiB announced',
      buildRecords(Buffer.concat([Buffer.from('01ffffff', 'hex'), zeros])),
      { alert: alert.illegal },
    ],
    ['not TLS', Buffer.from(requestText('GET /', [])), { closed: true }],
    ['zeros', zeros, { closed: true }],
  ])
  t.ok(performance.now() - began < 5000)
})

attack('survives a damaged ClientHello (TS20)', async () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(damage, fc.option(fc.nat()), async (changes, cut) => {
      const hello = buildHello(having(serverName('localhost'), alpn('h2')))
      for (const [at, octet] of changes) hello[at % hello.length] = octet
      const said = await sendHello(server.port, cut === null ? hello : hello.subarray(0, cut % hello.length))
      return Object.keys(said).length === 1
    }),
    { numRuns: 150 },
  )
})

attack('does not answer a request that was changed in transit (TS20, N-14)', async t => {
  const request = requestText('GET /binding', [`X-Padding: ${'x'.repeat(8000)}`, 'Connection: close'])
  for (const change of [0, 1]) {
    const port = await startRelay(t, server.port, async function* (bytes) {
      for await (const part of bytes) {
        if (part.length > 4000) part.writeUInt8(part.readUInt8(part.length - 1) ^ change, part.length - 1)
        yield part
      }
    })
    const { answers, closed } = await exchange(await server.connect('alice', { port }), request, { until: 'closed' })
    t.match({ answers: answers.length, closed }, { answers: change === 0 ? 1 : 0, closed: true })
  }
})

attack('closes a handshake after ten seconds (TS22)', async t => {
  for (const [index, kind] of slow.entries()) {
    const lasted = (await slowEnds[index]) as number
    t.ok(lasted > 5000 && lasted < 13_000, `${kind}: ${Math.round(lasted)} ms`)
  }
})
