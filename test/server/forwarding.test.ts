// Behind a proxy that ends TLS: whose statement about a client certificate is believed, what it can be used for, and how each wrong
// statement is refused. RFC 9440; over real TLS, with a client in the place of the proxy.
import t from 'tap'
import { type CertificateForm, certificateForms } from '../../src/core/forwarded-certificate.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { octetString, oid, sequence } from '../../src/pki/der.ts'
import { issueCertificate, issueCrl, startTestServer } from '../../src/testing/server.ts'
import { provoke } from '../helpers/server/details.ts'
import { at, callOps } from '../helpers/server/ops.ts'
import { fieldOf, issueProxy, through, thumbprintOf } from '../helpers/server/proxies.ts'
import { exchange, requestText } from '../helpers/server/raw-http.ts'
import { claimsOf, introspect, post, register } from '../helpers/tokens/grants.ts'

t.setTimeout(120_000)
const pki = makeDemoPki()
const { ca, alice, bob, stranger } = pki
const edge = issueProxy('edge', ca)
const renewed = issueProxy('edge', ca)
const byName = issueProxy('by name', ca)
const selfSigned = issueCertificate({ subject: [['CN', 'sidecar']], extendedKeyUsage: ['clientAuth'] })
const registered = issueCertificate({ subject: [['CN', 'own']], extendedKeyUsage: ['clientAuth'] })
const forms = Object.keys(certificateForms) as CertificateForm[]
const proxyOf = Object.fromEntries(forms.map(form => [form, issueProxy(form, ca)])) as Record<
  CertificateForm,
  typeof edge
>
const proxies = [
  { form: 'client-cert', 'x5t#S256': thumbprintOf(edge) },
  { form: 'client-cert', tls_client_auth_subject_dn: 'CN=by name' },
  { form: 'client-cert', 'x5t#S256': [thumbprintOf(selfSigned)] },
  ...forms.map(form => ({ form, 'x5t#S256': thumbprintOf(proxyOf[form]) })),
]
const material = { cert: pki.server.certificate, key: pki.server.key, ca: ca.certificate, clientCertFrom: proxies }
const server = await startTestServer({
  pki,
  ops: true,
  tls: { clientCertFrom: proxies },
  clients: [
    register('alice', { token_bindings: ['connection', 'certificate', 'proof'] }),
    register('bob'),
    register('api', { resource: 'https://localhost:8443', token_bindings: ['certificate'] }),
    {
      ...register('own', {
        tls_client_auth_subject_dn: undefined,
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
      }),
      jwks: {
        keys: [{ ...registered.publicKey.export({ format: 'jwk' }), x5c: [registered.x509.raw.toString('base64')] }],
      },
    },
  ],
  routes: app => {
    app.get('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone')
    app.get('/attested', request => ({ attested: request.token.attested ?? null, binding: request.token.binding }))
  },
})
t.teardown(() => server.close())

const field = fieldOf['client-cert']
const proxy = await server.connect(edge)
const behind = (who: typeof alice, connection = proxy) => through(connection, { 'client-cert': field(who) })
const whoami = '/api/whoami'
const served = { status: 200, body: { client_id: 'alice', token_binding: 'certificate' } }
const direct = await server.connect('alice')

t.test('issues and accepts a token of level certificate, marked as attested', async t => {
  const token = await behind(alice).token({ client_id: 'alice' })
  const claims = claimsOf(token)
  t.match(claims, { cnf: { 'x5t#S256': thumbprintOf(alice) }, attested: 'proxy' })
  t.same(Object.keys(claims.cnf), ['x5t#S256'], 'no binding of the connection of the proxy')
  t.match(server.events.at(-1), {
    event: 'token.issued',
    attested: 'proxy',
    'x5t#S256': thumbprintOf(alice),
    client_id: 'alice',
  })
  t.notOk('bindings' in server.events.at(-1))
  t.match(await behind(alice).get(whoami, token), served)
  t.match((await behind(alice).get('/attested', token)).body, { attested: 'proxy', binding: 'certificate' })
  t.match(await direct.get(whoami, token), served, 'the certificate is the same on a connection of its own')
  t.match((await direct.get('/attested', token)).body, { attested: null })
  const ofOwnConnection = await direct.token({ token_binding: 'certificate' })
  t.notOk('attested' in claimsOf(ofOwnConnection))
  t.match(await behind(alice).get(whoami, ofOwnConnection), served)
  const resource = await server.connect(issueProxy('api', ca))
  t.match((await introspect(resource, token)).body, { active: true, attested: 'proxy' })
  const opened = await behind(alice).call('/binding')
  t.match(opened.body, {
    attested: 'proxy',
    bindings: {},
    token_bindings: ['certificate'],
    certificate: { 'x5t#S256': thumbprintOf(alice) },
  })
})

t.test('binds a token to the client behind the proxy, not to the proxy', async t => {
  const token = await behind(alice).token({ client_id: 'alice' })
  await provoke(t, server, 'certificate_mismatch', 'other_certificate', { send: () => behind(bob).get(whoami, token) })
  t.match(server.events.at(-1), { came_with: 'other_certificate', bound_to: thumbprintOf(alice), attested: 'proxy' })
  await provoke(t, server, 'no_certificate', 'not_forwarded', {
    send: () => proxy.get(whoami, token),
    facts: { header: 'client-cert' },
  })
  t.match(server.events.at(-1), { came_with: 'no_certificate' })
  t.match(await behind(alice).get(whoami, token), served, 'control, on the same connection')
  t.match(
    await through(proxy, { 'client-cert': field(bob) }).requestToken({
      client_id: 'alice',
      token_binding: 'certificate',
    }),
    { status: 401, body: { reason: 'client_mismatch' } },
    'bob is not alice there either',
  )
})

t.test('refuses what needs the TLS connection of the client', async t => {
  for (const token_binding of ['connection', 'proof'])
    await provoke(t, server, 'binding_unavailable', 'attested', {
      send: () => behind(alice).requestToken({ client_id: 'alice', token_binding }),
      status: 400,
      facts: { token_binding },
    })
  const strong = await direct.token({ token_binding: 'connection' })
  const proof = await direct.token({ token_binding: 'proof' })
  const weak = await direct.token({ token_binding: 'certificate' })
  const alarms = server.alarms.length
  for (let attempt = 0; attempt < 4; attempt++)
    await provoke(t, server, 'connection_mismatch', 'attested', { send: () => behind(alice).get(whoami, strong) })
  const withProof = { headers: { 'session-binding-proof': direct.prove(proof) } }
  await provoke(t, server, 'connection_mismatch', 'attested', {
    send: () => behind(alice).call(whoami, { token: proof, ...withProof }),
  })
  await provoke(t, server, 'connection_mismatch', 'attested', {
    send: () => behind(alice).call('/alone', { token: weak, ...withProof }),
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(server.alarms.length, alarms, 'its owner has taken the wrong way, and no other party has it')
  t.match(await direct.get(whoami, strong), { status: 200 }, 'control')
  t.match(await direct.get(whoami, proof, direct.prove(proof)), { status: 200 }, 'control')
  t.match(await behind(alice).get(whoami, weak), served, 'control')
})

t.test('accepts each form from the proxy of that form, and no other', async t => {
  const token = await direct.token({ token_binding: 'certificate' })
  for (const form of forms) {
    const connection = await server.connect(proxyOf[form])
    const { header } = certificateForms[form]
    t.match(await through(connection, { [header]: fieldOf[form](alice) }).get(whoami, token), served, form)
    t.match(await through(connection, { [header]: fieldOf[form](bob) }).get(whoami, token), { status: 401 }, form)
    const other = form === 'client-cert' ? 'nginx' : 'client-cert'
    t.match(
      await through(connection, { [certificateForms[other].header]: fieldOf[other](alice) }).get(whoami, token),
      { status: 401, body: { reason: 'no_certificate' } },
      `${form}: the field of another form is not read`,
    )
    t.match(server.events.at(-1).facts, { ignored_header: certificateForms[other].header.toLowerCase() })
  }
})

t.test('believes nothing from others, and names the field that was ignored', async t => {
  const token = await behind(alice).token({ client_id: 'alice' })
  const mallory = await server.connect('mallory')
  const nobody = await server.connect(null)
  const foreign = await server.connect(stranger)
  const named = await server.connect(
    issueCertificate({ subject: [['CN', 'by name']], extendedKeyUsage: ['clientAuth'] }),
  )
  for (const [name, read] of [
    ['Client-Cert', 'client-cert'],
    ['client_cert', 'client-cert'],
    ['X_SSL_Client_Cert', 'x-ssl-client-cert'],
    ['x-forwarded-client-cert', 'x-forwarded-client-cert'],
  ] as const) {
    const fields = { [name]: field(alice) }
    for (const connection of [mallory, nobody, foreign, named]) {
      if (!connection.isOpen()) continue
      const answer = await through(connection, fields).get(whoami, token)
      t.equal(answer.status, 401, name)
      t.match(server.events.at(-1).facts, { ignored_header: read }, name)
      t.notOk('attested' in server.events.at(-1))
    }
  }
  t.match(
    await through(await server.connect('mallory'), { 'client-cert': field(alice) }).requestToken({
      client_id: 'alice',
    }),
    { status: 401, body: { reason: 'client_mismatch' } },
  )
  t.match(
    await through(direct, { 'client-cert': field(bob) }).get(whoami, token),
    served,
    'a client of its own is itself, with any field',
  )
  const spelled = await through(proxy, { client_cert: field(alice) }).get(whoami, token)
  t.match(spelled, { status: 401, body: { reason: 'no_certificate' } }, 'an underscore from the proxy is another field')
  t.match(server.events.at(-1).facts, { header: 'client-cert', ignored_header: 'client-cert' })
})

t.test('knows a proxy by name if an authority vouches for it, and by a certificate without an authority', async t => {
  const token = await direct.token({ token_binding: 'certificate' })
  t.match(await behind(alice, await server.connect(byName)).get(whoami, token), served)
  t.match(await behind(alice, await server.connect(selfSigned)).get(whoami, token), served)
  const forged = await server.connect(
    issueCertificate({ subject: [['CN', 'by name']], extendedKeyUsage: ['clientAuth'] }),
  )
  t.match(await behind(alice, forged).get(whoami, token), { status: 401, body: { reason: 'certificate_untrusted' } })
  t.match(
    await through(proxy, { 'client-cert': field(selfSigned) }).get(whoami, token),
    { status: 401, body: { reason: 'certificate_untrusted' } },
    'the certificate of a proxy is no registered one of a client',
  )
  t.match(await through(await server.connect(edge), { 'client-cert': field(edge) }).get(whoami, token), {
    status: 401,
    body: { reason: 'certificate_mismatch' },
  })
})

t.test('accepts a registered certificate without an authority', async t => {
  const own = through(proxy, { 'client-cert': field(registered) })
  const token = await own.token({ client_id: 'own' })
  t.match(await own.get(whoami, token), { status: 200, body: { client_id: 'own' } })
})

t.test('refuses a field that is not one certificate, and keeps the connection for the other clients', async t => {
  const token = await behind(alice).token({ client_id: 'alice' })
  const malformed = async (connection: typeof proxy, header: string, value: string, found: string | RegExp) => {
    const answer = await through(connection, { [header]: value }).get(whoami, token)
    t.match(answer, { status: 401, body: { reason: 'certificate_untrusted' } }, value.slice(0, 40))
    t.match(server.events.at(-1), { detail: 'forwarded_malformed', facts: { header: header.toLowerCase(), found } })
  }
  const der = alice.x509.raw
  const good = field(alice)
  for (const [value, found] of [
    ['x', /byte sequence/],
    [good.slice(1), /byte sequence/],
    [`${good}, ${field(bob)}`, /byte sequence/],
    [`${good};q=1`, /byte sequence/],
    [':AAAA:', /DER/],
    [`:${der.subarray(0, 100).toString('base64')}:`, /DER/],
    [`:${Buffer.concat([der, bob.x509.raw]).toString('base64')}:`, /more than one/],
    [`:${Buffer.concat([der, Buffer.from([0])]).toString('base64')}:`, /more than one/],
    [`:${alice.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')}:`, /DER/],
    [good.replace(/.:$/, '!:'), /byte sequence/],
    [`:${der.toString('base64url')}:`, /byte sequence|base64/],
  ] as const)
    await malformed(proxy, 'Client-Cert', value, found)
  const nginx = await server.connect(proxyOf.nginx)
  const pem = alice.x509.toString()
  for (const [value, found] of [
    [encodeURIComponent(pem + bob.x509.toString()), /more than one/],
    [encodeURIComponent(`x${pem}`), /no certificate in PEM/],
    [pem.replaceAll('\n', '\t'), /no certificate in PEM|percent/],
    [encodeURIComponent(pem.replace('-----END CERTIFICATE-----', '')), /no certificate in PEM/],
    ['%ZZ', /percent/],
    ['%', /percent/],
    [encodeURIComponent(alice.key), /no certificate in PEM/],
  ] as const)
    await malformed(nginx, 'X-SSL-Client-Cert', value, found)
  const envoy = await server.connect(proxyOf.envoy)
  const element = fieldOf.envoy(alice)
  for (const [value, found] of [
    [`${fieldOf.envoy(bob)},${element}`, /several elements/],
    [element.replace(/Hash=\w+/, `Hash=${'0'.repeat(64)}`), /Hash/],
    [element.replace('Cert=', 'Chain='), /without Cert/],
    [`${element};${element}`, /two members/],
    [`${element.slice(0, 120)}`, /element|PEM|percent/],
    ['Cert="', /element/],
    [';'.repeat(5000), /element/],
  ] as const)
    await malformed(envoy, 'X-Forwarded-Client-Cert', value, found)
  await provoke(t, server, 'certificate_untrusted', 'forwarded_repeated', {
    send: () => through(proxy, { 'client-cert': [good, good] }).get(whoami, token),
    facts: { header: 'client-cert', found: 2 },
  })
  for (const value of ['', '::'])
    t.match(await through(proxy, { 'client-cert': value }).get(whoami, token), {
      status: 401,
      body: { reason: 'no_certificate' },
    })
  for (const connection of [proxy, nginx, envoy]) t.ok(connection.isOpen())
  t.match(await behind(alice).get(whoami, token), served, 'control')

  const large = await server.connect(edge)
  const answer = await through(large, { 'client-cert': `:${'A'.repeat(1_000_000)}:` })
    .get(whoami, token)
    .catch(error => error)
  t.match(answer.status ?? 431, 431, 'a megabyte exceeds the head of a request')
})

t.test('verifies the forwarded certificate itself', async t => {
  const orders = {
    issuer_unknown: stranger,
    usage_missing: issueCertificate({ subject: [['CN', 'alice']], issuer: ca }),
    usage_not_client: issueCertificate({ subject: [['CN', 'alice']], issuer: ca, extendedKeyUsage: ['serverAuth'] }),
    self_signed: issueCertificate({ subject: [['CN', 'alice']], extendedKeyUsage: ['clientAuth'] }),
    // Issued by a client, which is no authority.
    issued_by_client: issueCertificate({ subject: [['CN', 'alice']], issuer: alice, extendedKeyUsage: ['clientAuth'] }),
    // With the name and key identifier of the authority, by another key.
    signature: issueCertificate({
      subject: [['CN', 'alice']],
      issuer: { ...ca, ...keyOf(stranger) },
      authorityKeyIdentifier: null,
      extendedKeyUsage: ['clientAuth'],
    }),
  }
  for (const [detail, identity] of Object.entries(orders)) {
    const answer = await behind(identity).requestToken({ client_id: 'alice', token_binding: 'certificate' })
    t.match(answer, { status: 401, body: { reason: 'certificate_untrusted' } }, detail)
    const expected = detail === 'issued_by_client' ? 'issuer_unknown' : detail
    t.match(server.events.at(-1), { detail: expected, attested: 'proxy', 'x5t#S256': thumbprintOf(identity) })
  }
  const unverifiable = issueProxy('alice', ca, {
    extensions: [sequence([oid('2.16.840.1.113730.1.1'), octetString(Buffer.from([3, 2, 7, 128]))])],
  })
  t.match(await behind(unverifiable).requestToken({ client_id: 'alice' }), { status: 401 })
  t.match(server.events.at(-1), { detail: 'forwarded_unverifiable', facts: { found: /extension/ } })
  const day = 86_400_000
  const ended = issueCertificate({
    ...{ subject: [['CN', 'alice']], issuer: ca, extendedKeyUsage: ['clientAuth'] },
    ...{ notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) },
  })
  t.match(await behind(ended).requestToken({ client_id: 'alice' }), {
    status: 401,
    body: { reason: 'certificate_expired' },
  })
  t.match(
    await behind(alice).requestToken({ client_id: 'alice', token_binding: 'certificate' }),
    { status: 200 },
    'control',
  )
  t.ok(proxy.isOpen(), 'refused certificates do not end the connection of the proxy')
})

t.test('rejects a certificate if an authority above it has a restriction that only a handshake verifies', async t => {
  const constrained = issueCertificate({ subject: [['CN', 'constrained']], ca: true, permittedDns: ['internal'] })
  const below = issueCertificate({ subject: [['CN', 'below']], ca: true, issuer: constrained })
  const incomplete = issueCertificate({ subject: [['CN', 'incomplete']], ca: true, issuer: stranger })
  const plain = issueCertificate({ subject: [['CN', 'intermediate']], ca: true, issuer: ca })
  const authorities = [ca, constrained, below, incomplete, plain]
  server.tls.reload({ ...material, ca: authorities.map(({ certificate }) => certificate).join('') })
  const connection = await server.connect(edge)
  const issued = (issuer: typeof ca) => issueProxy('alice', issuer, { altNames: [{ dns: 'alice.internal' }] })
  const request = (issuer: typeof ca) => () =>
    behind(issued(issuer), connection).requestToken({ client_id: 'alice', token_binding: 'certificate' })
  for (const [issuer, found] of [
    [constrained, /name constraints/],
    [below, /name constraints/],
    [incomplete, /its issuer .* is missing/],
  ] as const) {
    t.match(await request(issuer)(), { status: 401, body: { reason: 'certificate_untrusted' } })
    t.match(server.events.at(-1), { detail: 'authority_problem', facts: { found } })
  }
  t.match(await request(plain)(), { status: 200 }, 'control')
  server.tls.reload(material)
})

t.test('follows a reload: proxies that were removed or renewed, and revocation lists', async t => {
  const token = await behind(alice).token({ client_id: 'alice' })
  const list = (serials: readonly string[]) =>
    issueCrl({ issuer: ca, revoked: serials.map(serialNumber => ({ serialNumber })) })
  server.tls.reload({ ...material, crl: list([]) })
  const fresh = await server.connect(edge)
  t.match(await behind(alice, fresh).get(whoami, token), served)
  server.tls.reload({ ...material, crl: list([alice.x509.serialNumber]) })
  const again = await server.connect(edge)
  t.match(await behind(alice, again).get(whoami, token), { status: 401, body: { reason: 'certificate_revoked' } })
  t.match(
    await behind(alice, fresh).get(whoami, token),
    { status: 401, body: { reason: 'certificate_revoked' } },
    'remembered there',
  )
  t.match(
    await behind(bob, again).requestToken({ client_id: 'bob', token_binding: 'certificate' }),
    { status: 200 },
    'control',
  )
  server.tls.reload({ ...material, crl: list([edge.x509.serialNumber]) })
  t.match(await behind(bob, await server.connect(edge)).requestToken({ client_id: 'bob' }), {
    status: 401,
    body: { reason: 'certificate_revoked' },
  })

  server.tls.reload({ ...material, clientCertFrom: [{ form: 'client-cert', 'x5t#S256': thumbprintOf(renewed) }] })
  const former = await server.connect(edge)
  t.match(await behind(alice, former).get(whoami, token), { status: 401, body: { reason: 'certificate_mismatch' } })
  t.match(await behind(alice, await server.connect(renewed)).get(whoami, token), served, 'the renewed certificate')
  t.throws(() => server.tls.reload({ ...material, clientCertFrom: [{ form: 'nginx' }] }), /exactly one of x5t#S256/)
  t.match(await behind(alice, await server.connect(renewed)).get(whoami, token), served, 'what was in use stays')
  server.tls.reload(material)
})

t.test('takes the certificate of a request from its own header only, however it is spelled', async t => {
  const own = await server.connect(edge)
  const token = await behind(alice, own).token({ client_id: 'alice' })
  const get = (...lines: string[]) => requestText('GET /api/whoami', [`Authorization: Bearer ${token}`, ...lines])
  const [hers, his] = [field(alice), field(bob)]
  const requests = [[`Client-Cert: ${hers}`], [`Client-Cert: ${his}`], [], [`CLIENT-CERT:\t${hers} `]]
  const { answers } = await exchange(await server.connect(edge), requests.map(lines => get(...lines)).join(''), {
    until: 4,
  })
  t.same(
    answers.map(({ status }) => status),
    [200, 401, 401, 200],
    'pipelined on one connection',
  )

  const trailer = `0\r\nClient-Cert: ${hers}\r\n\r\n`
  const chunked = ['Transfer-Encoding: chunked', 'Trailer: Client-Cert', 'Content-Type: application/json']
  for (const [octets, status] of [
    [requestText('POST /api/notes', [`Authorization: Bearer ${token}`, ...chunked], trailer), 401],
    [get(`Client-Cert: ${his}`, `client-cert: ${hers}`), 401],
    [get('Client-Cert: ', `client-cert: ${hers}`), 401],
    [get(`Client-Cert : ${hers}`), 400],
    [get(`Client-Cert:\r\n ${hers}`), 400],
    [get(`Client-Cert\0: ${hers}`), 400],
  ] as const) {
    const { answers: refused } = await exchange(await server.connect(edge), octets, { until: 1 })
    t.equal(refused[0]?.status, status, `${octets.slice(0, 60)} …`)
  }
  const multiplexed = await server.connect(edge, { ALPNProtocols: ['h2'] })
  const twice = through(multiplexed, { 'client-cert': [hers, his] })
  t.match(await twice.get(whoami, token), { status: 401, body: { reason: 'certificate_untrusted' } })
  t.match(await behind(alice, multiplexed).get(whoami, token), served, 'control')
})

t.test('ends no connection because of a forwarded certificate with a malformed extension', async t => {
  const shared = [await server.connect(edge), await server.connect(edge, { ALPNProtocols: ['h2'] })] as const
  const other = await server.connect('alice')
  const token = await behind(alice, shared[0]).token({ client_id: 'alice' })
  for (const octets of [
    [0x02, 1, 0],
    [0x30, 3, 0x06, 1, 0x80],
    [0x30, 2, 0x06, 9],
  ]) {
    // An unterminated or wrong extendedKeyUsage, on which OpenSSL reports errors.
    const malformed = sequence([oid('2.5.29.37'), octetString(Buffer.from(octets))])
    const who = issueCertificate({ subject: [['CN', 'alice']], issuer: stranger, extensions: [malformed] })
    for (const connection of shared) {
      const opened = await behind(who, connection).call('/binding') // without a token, whose verification would empty the queue of errors
      t.match(opened, { status: 200, body: { token_bindings: [] } })
      for (const each of [...shared, other]) t.match(await behind(alice, each).get(whoami, token), served)
    }
  }
})

t.test('serves many clients of one proxy over HTTP/2 at the same time', async t => {
  const multiplexed = await server.connect(edge, { ALPNProtocols: ['h2'] })
  const [ofAlice, ofBob] = [
    await behind(alice, multiplexed).token({ client_id: 'alice' }),
    await behind(bob, multiplexed).token({ client_id: 'bob' }),
  ]
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) => {
      const [who, token] = [index % 2 ? alice : bob, index % 3 ? ofAlice : ofBob]
      return behind(who, multiplexed)
        .get(whoami, token)
        .then(({ status, body }) => [who === alice, token === ofAlice, status, body.client_id])
    }),
  )
  for (const [isAlice, isHers, status, id] of answers) {
    t.equal(status, isAlice === isHers ? 200 : 401)
    t.equal(id, isAlice === isHers ? (isAlice ? 'alice' : 'bob') : undefined)
  }
  t.match(await post(multiplexed, '/oauth/token', { grant_type: 'client_credentials', client_id: 'edge' }), {
    status: 401,
  })
})

function keyOf({ key, privateKey, publicKey }: typeof alice) {
  return { key, privateKey, publicKey }
}

t.test('believes no proxy whose certificate also authenticates a client', async t => {
  const own = issueProxy('by name', ca)
  const key = { ...own.publicKey.export({ format: 'jwk' }), x5c: [own.x509.raw.toString('base64')] }
  const selfSignedClient = {
    ...register('rival', {
      tls_client_auth_subject_dn: undefined,
      token_endpoint_auth_method: 'self_signed_tls_client_auth',
    }),
    jwks: { keys: [key] },
  }
  const connection = await server.connect(own)
  const call = () => behind(alice, connection).requestToken({ client_id: 'alice', token_binding: 'certificate' })
  t.equal((await call()).status, 200, 'control')
  const put = (body: object & { client_id: string }) => callOps(server, 'PUT', at(body.client_id), { body })
  t.match(await put(register('edge', { tls_client_auth_subject_dn: 'CN=by name' })), {
    status: 400,
    body: { problems: [/has the name of client edge, which could then state/] },
  })
  t.equal((await put(selfSignedClient)).status, 201, 'only its certificate shows that it is the proxy')
  t.match(await call(), { status: 401, body: { reason: 'certificate_untrusted' } })
  t.match(server.events.at(-1), {
    detail: 'forwarded_by_client',
    facts: { header: 'client-cert', registered: 'rival' },
  })
  t.match(
    await through(connection, {}).requestToken({ client_id: 'rival', token_binding: 'certificate' }),
    { status: 401 },
    'nor is it served as the client: its own clients would all be that client',
  )
  await callOps(server, 'POST', at('rival', '/disable'))
  t.equal((await call()).status, 401, 'a disabled client may be enabled again')
  await callOps(server, 'DELETE', at('rival'))
  t.equal((await call()).status, 200)
})
