// Tokens and the certificate that they were issued to: PK01, PK02, PK28, N-24. A certificate with the same name or the same
// key is another certificate, and header fields about certificates are ignored.
import t from 'tap'
import { type Identity, issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'

const server = await startTestServer()
t.teardown(() => server.close())
const { ca, alice, mallory } = server.pki
const another = (order: object = {}): Identity =>
  issueCertificate({ subject: [['CN', 'alice']], issuer: ca, extendedKeyUsage: ['clientAuth'], ...order })
const levels = ['certificate', 'connection'] as const

t.test('rejects a token presented with a second certificate of the same name and another key (PK01, N-24)', async t => {
  const connection = await server.connect('alice')
  const namesake = await server.connect(another())
  for (const level of levels) {
    const token = await connection.token({ token_binding: level })
    t.equal((await connection.get('/api/whoami', token)).status, 200)
    t.match(await namesake.get('/api/whoami', token), refusal('certificate_mismatch'), level)
    t.match(await (await server.connect('bob')).get('/api/whoami', token), refusal('certificate_mismatch'), level)
  }
  const own = await namesake.token()
  t.equal(
    (await namesake.get('/api/whoami', own)).status,
    200,
    'its own token works: it is registered by the same name',
  )
  t.match(
    await connection.get('/api/whoami', own),
    refusal('certificate_mismatch'),
    'its token works only with that certificate',
  )
})

t.test(
  'rejects old tokens after a renewal with the same key, and issues new ones immediately (PK02, N-30)',
  async t => {
    const renewed = another({ keyPair: alice })
    t.ok(renewed.publicKey.equals(alice.publicKey))
    const before = await server.connect('alice')
    const old = await before.token({ token_binding: 'certificate' })
    const after = await server.connect(renewed)
    t.match(await after.get('/api/whoami', old), refusal('certificate_mismatch'))
    for (const level of levels) {
      const token = await after.token({ token_binding: level })
      t.equal((await after.get('/api/whoami', token)).status, 200, level)
      t.match(await before.get('/api/whoami', token), refusal('certificate_mismatch'), level)
    }
    t.equal((await before.get('/api/whoami', old)).status, 200, 'the old connection keeps the old certificate')
    t.equal(
      (await (await server.connect('alice')).get('/api/whoami', old)).status,
      200,
      'a new connection with the old certificate too',
    )
  },
)

t.test('allows a renewal without any refusal: connect with the new certificate, get a token, use it', async t => {
  const before = server.events.length
  const old = await server.connect('alice')
  const token = await old.token()
  const renewed = await server.connect(another({ keyPair: alice }))
  const fresh = await renewed.token()
  for (let count = 0; count < 20; count++) {
    t.equal((await old.get('/api/whoami', token)).status, 200)
    t.equal((await renewed.get('/api/whoami', fresh)).status, 200)
  }
  t.same(
    server.events.slice(before).filter(({ outcome }) => outcome !== 'success'),
    [],
  )
})

t.test('ignores certificates in request headers (PK28, N-24, N-44, N-53, N-54)', async t => {
  const der = alice.x509.raw.toString('base64')
  const fingerprint = alice.x509.fingerprint256.replaceAll(':', '')
  const headers = {
    'client-cert': `:${der}:`,
    'client-cert-chain': `:${der}:`,
    'x-ssl-client-cert': encodeURIComponent(alice.certificate),
    'ssl-client-cert': encodeURIComponent(alice.certificate),
    'x-client-cert': der,
    'x-arr-clientcert': der,
    'x-forwarded-client-cert': `Hash=${fingerprint};Cert="${encodeURIComponent(alice.certificate)}";Subject="CN=alice"`,
    'x-forwarded-tls-client-cert': encodeURIComponent(der),
    'ssl-client-verify': 'SUCCESS',
    'x-ssl-client-verify': 'SUCCESS',
    'ssl-client-subject-dn': 'CN=alice',
    'x-ssl-client-s-dn': 'CN=alice',
    'x-ssl-client-fingerprint': fingerprint,
    'tls-exporter': 'AAAA',
    'x-tls-exporter': 'AAAA',
    'session-binding-proof': 'e30.e30.e30',
    'concealed-auth-export': ':AAAA:',
    forwarded: 'for=127.0.0.1;proto=https',
  }
  const owner = await server.connect('alice')
  const token = await owner.token({ token_binding: 'certificate' })
  const use = (connection: TestConnection) => connection.call('/api/whoami', { token, headers })
  const issue = (connection: TestConnection) =>
    connection.call('/oauth/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: 'grant_type=client_credentials&client_id=alice',
    })
  t.equal((await use(owner)).status, 200, "with the client's own certificate they have no effect")
  t.equal((await issue(owner)).status, 200)

  for (const ALPNProtocols of [['http/1.1'], ['h2']]) {
    const thief = await server.connect('mallory', { ALPNProtocols })
    t.match(await use(thief), refusal('certificate_mismatch'))
    t.match(await issue(thief), refusal('client_mismatch', 'invalid_client'))
    t.equal((await thief.call('/binding', { headers })).body.certificate['x5t#S256'], thumbprintOf(mallory))
    const nobody = await server.connect(null, { ALPNProtocols })
    t.match(await use(nobody), refusal('no_certificate'))
    t.match(await issue(nobody), refusal('no_certificate', 'invalid_client'))
    t.equal((await nobody.call('/binding', { headers })).body.certificate, null)
    const stranger = () => server.connect('stranger', { ALPNProtocols }) // each refusal ends its connection
    t.match(await use(await stranger()), refusal('certificate_untrusted'))
    t.match(await issue(await stranger()), refusal('certificate_untrusted', 'invalid_client'))
  }
})

/** Computed by OpenSSL. */
function thumbprintOf({ x509 }: Identity): string {
  return Buffer.from(x509.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
}
