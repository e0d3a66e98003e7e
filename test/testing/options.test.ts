// The parameters of tlsbound/testing: wrong and unknown ones are named, so that no test passes by accident.
import t from 'tap'
import { issueCertificate, issueCrl, startTestServer } from 'tlsbound/testing'

t.test('startTestServer names each wrong or unknown option', async t => {
  for (const [options, message] of [
    [{ client: [] }, /^client is not an option; did you mean clients\?$/],
    [{ clients: {} }, /^clients must be a list, not an object$/],
    [{ routes: true }, /^routes must be a function, not true$/],
    [{ closeAfter: '1' }, /^closeAfter must be a number of milliseconds of at least 0, not "1"$/],
    [{ ops: 'on' }, /^ops must be true or false, not "on"$/],
    [{ tls: { crls: '' } }, /^crls is not an option; did you mean crl\?$/],
    [null, /^options must be an object with env, /],
  ] as const)
    await t.rejects(startTestServer(options as never), { name: 'TypeError', message })
})

t.test('connect rejects an unknown name, which would connect without a certificate', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  for (const who of ['carol', 'toString', undefined, {}])
    await t.rejects(server.connect(who as never), {
      name: 'TypeError',
      message: /^who must be ca, server, alice, bob, mallory, stranger, an identity or null, not /,
    })
  t.match(await (await server.connect('alice')).requestToken(), { status: 200 }, 'control')
  t.match(await (await server.connect(null)).requestToken(), { body: { reason: 'no_certificate' } })
})

t.test('connect names each unknown option, which would have no effect', async t => {
  const server = await startTestServer()
  t.teardown(() => server.close())
  for (const [options, message] of [
    [{ clientID: 'alice' }, /^clientID is not an option; did you mean clientId\?$/],
    [{ http2: true }, /^http2 is not an option; expected: /],
    [{ ALPNProtocol: ['h2'], maxversion: 'TLSv1.2' }, /ALPNProtocols\?; .*did you mean maxVersion\?$/],
    [{ clientId: 7 }, /^clientId must be a text, not 7$/],
    [null, /must be an object/],
    // These would end the checks of the connection without a word.
    [{ checkServerIdentity: () => undefined }, /^checkServerIdentity is not an option/],
  ] as const)
    await t.rejects(server.connect('alice', options as never), { name: 'TypeError', message })
  const connection = await server.connect('alice', {
    ALPNProtocols: ['h2'],
    clientId: 'alice',
    ca: server.pki.ca.certificate,
  })
  t.match(await connection.requestToken(), { status: 200 }, 'control')
})

t.test('issueCertificate and issueCrl name each wrong or unknown member of an order', async t => {
  const ca = issueCertificate({ subject: [['CN', 'ca']], ca: true })
  for (const [order, message] of [
    [undefined, /^order must be an object with subject, not undefined$/],
    [
      { subject: 'CN=x' },
      /^order\.subject must be a list of types and values, such as \[\['CN', 'carol'\]\], not "CN=x"$/,
    ],
    [{ subject: [], issuer: ca.certificate }, /^order\.issuer must be an identity .*, not PEM text/],
    [{ subject: [], isuer: ca }, /^order\.isuer is not an option; did you mean order\.issuer\?$/],
    [{ subject: [], notAfter: '2030-01-01' }, /^order\.notAfter must be a valid Date, not "2030-01-01"$/],
    [{ subject: [], keyType: 'dsa' }, /^order\.keyType must be one of /],
  ] as const)
    t.throws(() => issueCertificate(order as never), { name: 'TypeError', message })
  const carol = issueCertificate({
    subject: [['CN', 'carol']],
    issuer: ca,
    extendedKeyUsage: ['clientAuth'],
    keyType: 'ed25519',
  })
  t.equal(carol.x509.checkIssued(ca.x509), true, 'control')
  for (const [order, message] of [
    [{ issuer: ca }, /^order\.revoked must be a list, not undefined$/],
    [
      { issuer: ca, revoked: [], nextUpdated: null },
      /^order\.nextUpdated is not an option; did you mean order\.nextUpdate\?$/,
    ],
    [{ issuer: ca.certificate, revoked: [] }, /^order\.issuer must be an identity/],
  ] as const)
    t.throws(() => issueCrl(order as never), { name: 'TypeError', message })
  t.match(issueCrl({ issuer: ca, revoked: [carol.x509], nextUpdate: null }), /BEGIN X509 CRL/, 'control')
})
