// New certificates, authorities and revocation lists while the server runs: all at once, or none. The TLS part of RE10;
// live-certificates.test.ts tests live connections.
import type { ConnectionOptions } from 'node:tls'
import t from 'tap'
import {
  issueCertificate,
  issueCrl,
  startTestServer,
  type TestConnection,
  type TestServer,
} from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { tryHandshake } from '../../helpers/tls/raw-tls.ts'

type Material = Parameters<TestServer['tls']['reload']>[0]

/** Another certificate for the server. */
const renew = ({ pki }: TestServer) =>
  issueCertificate({
    subject: [['CN', 'localhost']],
    issuer: pki.ca,
    altNames: [{ dns: 'localhost' }],
    extendedKeyUsage: ['serverAuth'],
  })

const serverCertificate = ({ socket }: TestConnection) => socket.getPeerX509Certificate()?.fingerprint256

t.test('uses a reloaded server certificate for new connections only', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const before = await server.connect('alice')
  const token = await before.token()
  t.equal(serverCertificate(before), pki.server.x509.fingerprint256)

  const renewed = renew(server)
  tls.reload({ cert: renewed.certificate, key: renewed.key, ca: pki.ca.certificate })
  const after = await server.connect('alice')
  t.equal(serverCertificate(after), renewed.x509.fingerprint256)
  t.match(
    await before.get('/api/whoami', token),
    { status: 200 },
    'a token stays valid on its connection after the reload',
  )
  t.match(await after.get('/api/whoami', token), refusal('connection_mismatch'))
  t.match(await after.get('/api/whoami', await after.token()), { status: 200 })
})

t.test('keeps versions, ciphers and protocols in a reload', async t => {
  const server = await startTestServer()
  const { pki } = server
  const with12 = await startTestServer({ pki, env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' } })
  t.teardown(() => Promise.all([server.close(), with12.close()]))
  const options = { servername: 'localhost', ca: pki.ca.certificate }
  const old = { ...options, maxVersion: 'TLSv1.2' } as const
  const rows: [name: string, options: ConnectionOptions, code: string][] = [
    ['TLS 1.2', { ...old, port: server.port }, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'],
    [
      'TLS 1.1',
      { ...old, port: with12.port, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ],
    [
      'CBC',
      { ...old, port: with12.port, ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    ],
    ['ftp', { ...options, port: server.port, ALPNProtocols: ['ftp'] }, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
  ]
  for (let reload = 0; reload < 2; reload++) {
    for (const [ALPNProtocols, expected] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1'], 'http/1.1'],
    ] as const) {
      const connection = await server.connect('alice', { ALPNProtocols: [...ALPNProtocols] })
      t.equal(connection.socket.alpnProtocol, expected)
      t.match(await connection.get('/binding'), { body: { protocol: 'TLSv1.3', certificate: { subject: 'CN=alice' } } })
    }
    const on12 = await with12.connect('alice', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
    t.match(await on12.get('/binding'), { body: { protocol: 'TLSv1.2' } })
    for (const [name, refused, code] of rows) t.equal(await tryHandshake(refused), code, name)
    t.match(await (await server.connect('stranger')).requestToken(), refusal('certificate_untrusted', 'invalid_client'))
    t.match(await (await server.connect(null)).requestToken(), refusal('no_certificate', 'invalid_client'))
    for (const { tls } of [server, with12])
      tls.reload({ cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate })
  }
})

t.test('throws for an invalid reload, and changes nothing', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const renewed = renew(server)
  const ca = pki.ca.certificate
  const bobRevoked = issueCrl({ issuer: pki.ca, revoked: [pki.bob.x509] })
  const original = { cert: pki.server.certificate, key: pki.server.key, ca, crl: bobRevoked }
  tls.reload(original)

  const alice = await server.connect('alice')
  const token = await alice.token()
  // If a part of it were applied, alice would be refused.
  const crl = issueCrl({ issuer: pki.ca, revoked: [pki.alice.x509] })
  const usable: Material = { cert: renewed.certificate, key: renewed.key, ca, crl }
  const junk = (label: string, content = 'AAAA') => `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`
  const torn = (pem: string) => pem.slice(0, pem.length / 2)
  const broken: [string, Partial<Material>][] = [
    ['no certificate', { cert: '' }],
    ['a certificate that is text', { cert: 'hello' }],
    ['a certificate of nothing', { cert: junk('CERTIFICATE') }],
    ['a certificate cut short', { cert: torn(renewed.certificate) }],
    ['a valid certificate, then one cut short', { cert: renewed.certificate + torn(pki.ca.certificate) }],
    ['the key of another certificate', { key: pki.alice.key }],
    ['no key', { key: '' }],
    ['a key that is text', { key: 'hello' }],
    ['a key of nothing', { key: junk('PRIVATE KEY') }],
    ['a certificate as the key', { key: renewed.certificate }],
    ['no authorities', { ca: '' }],
    ['authorities that are text', { ca: 'hello' }],
    ['an authority of nothing', { ca: junk('CERTIFICATE') }],
    ['a valid authority, then one of nothing', { ca: pki.ca.certificate + junk('CERTIFICATE') }],
    ['a valid authority, then one cut short', { ca: pki.ca.certificate + torn(pki.ca.certificate) }],
    ['an empty revocation list', { crl: '' }],
    ['a revocation list that is text', { crl: 'hello' }],
    ['a revocation list of nothing', { crl: junk('X509 CRL') }],
    ['a valid list, then one of nothing', { crl: crl + junk('X509 CRL') }],
    ['a valid list, then one cut short', { crl: crl + torn(crl) }],
    ['a certificate among the lists', { crl: crl + pki.ca.certificate }],
    ['a list whose content is no list', { crl: junk('X509 CRL', 'MAMCAQE=') }],
  ]
  for (const [name, change] of broken) {
    t.throws(() => tls.reload({ ...usable, ...change }), { message: /./ }, name)
    const newcomer = await server.connect('alice').catch((error: Error) => t.fail(error))
    if (typeof newcomer === 'object') {
      t.equal(serverCertificate(newcomer), pki.server.x509.fingerprint256, 'the old certificate is sent')
      t.match(await newcomer.get('/api/whoami', await newcomer.token()), { status: 200 })
      newcomer.close()
    }
    t.match(await alice.get('/api/whoami', token), { status: 200 })
    tls.reload(original)
  }
  const bob = await server.connect('bob')
  t.match(await bob.requestToken(), refusal('certificate_revoked', 'invalid_client'), 'the old revocation list applies')
  t.match(await (await server.connect('stranger')).requestToken(), refusal('certificate_untrusted', 'invalid_client'))

  tls.reload(usable)
  t.match(await alice.get('/api/whoami', token), refusal('certificate_revoked'), 'a valid reload is applied as a whole')
  const later = await server.connect('bob')
  t.equal(serverCertificate(later), renewed.x509.fingerprint256)
  t.match(await later.requestToken(), { status: 200 })
})

t.test('quotes no content of the files when it refuses a reload', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const good = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
  const secret = 'c2VjcmV0IG9mIHRoZSBmaWxl'
  const junk = (label: string) => `-----BEGIN ${label}-----\n${secret}\n-----END ${label}-----\n`
  for (const change of [
    { cert: junk('CERTIFICATE') },
    { key: junk('PRIVATE KEY') },
    { ca: junk('CERTIFICATE') },
    { crl: junk('X509 CRL') },
  ])
    try {
      tls.reload({ ...good, ...change })
      t.fail('the reload was applied')
    } catch (error) {
      t.notMatch(String((error as Error).stack), secret)
    }
})

t.test('answers all requests that are in progress during a reload', async t => {
  let arrived = 0
  const gate = Promise.withResolvers<void>()
  const allArrived = Promise.withResolvers<void>()
  const server = await startTestServer({
    routes: app => {
      app.get('/slow', async ({ token }) => {
        if (++arrived === 24) allArrived.resolve()
        await gate.promise
        return { client_id: token.claims.client_id }
      })
    },
  })
  t.teardown(() => server.close())
  const { pki, tls } = server
  const answers: Promise<{ status: number }>[] = []
  for (let client = 0; client < 8; client++) {
    const connection = await server.connect('alice', { ALPNProtocols: [client % 2 === 0 ? 'h2' : 'http/1.1'] })
    const token = await connection.token()
    for (let stream = 0; stream < (client % 2 === 0 ? 5 : 1); stream++) answers.push(connection.get('/slow', token))
  }
  await allArrived.promise
  for (let reload = 0; reload < 5; reload++) {
    const { certificate: cert, key } = renew(server)
    tls.reload({ cert, key, ca: pki.ca.certificate, crl: issueCrl({ issuer: pki.ca, revoked: [pki.bob.x509] }) })
  }
  gate.resolve()
  t.same(new Set((await Promise.all(answers)).map(({ status }) => status)), new Set([200]))
  t.equal(answers.length, 24)
})

t.test('completes all handshakes that are in progress during a reload', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const clients = Array.from({ length: 30 }, async () => {
    const connection = await server.connect('alice')
    return connection.get('/api/whoami', await connection.token())
  })
  for (let reload = 0; reload < 20; reload++) {
    const { certificate: cert, key } = renew(server)
    tls.reload({ cert, key, ca: pki.ca.certificate })
    await new Promise(setImmediate)
  }
  t.same(new Set((await Promise.all(clients)).map(({ status }) => status)), new Set([200]))
})

t.test('starts a listener that is opened after a reload with the reloaded files', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  const { pki, tls } = server
  const renewed = renew(server)
  tls.reload({ cert: renewed.certificate, key: renewed.key, ca: pki.ca.certificate })
  const second = tls((() => {}) as never)
  await new Promise<void>(resolve => second.listen(0, '127.0.0.1', resolve))
  t.teardown(() => second.close())
  const { port } = second.address() as { port: number }
  t.equal(serverCertificate(await server.connect('alice', { port })), renewed.x509.fingerprint256)
})
