// The cnf and the scope of well-signed tokens: CL01 … CL05, CL11 … CL13, N-24, N-25, N-32. A cnf must have one of the issued
// shapes and match this certificate and this connection. No member is optional.
import { createHash } from 'node:crypto'
import t from 'tap'
import type { Reason } from '../../../src/core/errors.ts'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { type Row, refusal, refuseEach } from '../../helpers/server/refusals.ts'
import { claimsFor, confirmationOf, forgeToken, issuer, thumbprint } from '../../helpers/tokens/forge-token.ts'

const jwk = await generateTokenKey('ES256')
const server = await startTestServer({
  signingKeys: [jwk],
  routes: app => {
    app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
    app.get('/lenient', { config: { requireToken: { binding: 'certificate' } } }, () => 'lenient')
  },
})
t.teardown(() => server.close())
const [alice, again, bob] = await Promise.all([server.connect('alice'), server.connect('alice'), server.connect('bob')])
const good = confirmationOf(alice)
const { 'x5t#S256': x5t, 'tls-exporter#S256': exporter } = good as { 'x5t#S256': string; 'tls-exporter#S256': string }
const forge = (cnf: unknown, changes: object = {}) =>
  forgeToken({ jwk, claims: { ...claimsFor(alice, server), ...changes, cnf } })

t.test('computes the thumbprint of the DER as OpenSSL does, in base64url without padding (N-25)', async t => {
  const [, payload = ''] = (await alice.token()).split('.')
  const { cnf } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  t.same(cnf, good, 'the client computes the same value at its end')
  const fingerprint = server.pki.alice.x509.fingerprint256.replaceAll(':', '')
  t.equal(cnf['x5t#S256'], Buffer.from(fingerprint, 'hex').toString('base64url'))
  t.match(cnf['x5t#S256'], /^[\w-]{43}$/)
})

t.test('rejects a missing or malformed cnf (CL01, CL02, CL03, N-32)', async t => {
  t.match(await alice.get('/api/whoami', forge(good)), { status: 200, body: { token_binding: 'connection' } })
  t.match(await alice.get('/api/whoami', forge({ 'x5t#S256': x5t })), {
    status: 200,
    body: { token_binding: 'certificate' },
  })
  const { d: _, ...publicJwk } = jwk
  const noObject: unknown[] = [
    undefined,
    null,
    {},
    [],
    '',
    0,
    1,
    true,
    x5t,
    JSON.stringify(good),
    [good],
    { cnf: good },
  ]
  const noCertificate = [
    { 'tls-exporter#S256': exporter },
    { 'X5T#S256': x5t },
    { 'x5t#s256': x5t },
    { x5t },
    { 'x5t#S512': x5t },
  ]
  const foreign = {
    jkt: x5t,
    jwk: publicJwk,
    jwe: 'x',
    jku: 'https://localhost/',
    kid: jwk.kid,
    osc: {},
    x: 1,
    '': 1,
    tls_exp: 'x',
  }
  const members = Object.entries(foreign).map(([name, value]) => ({ [name]: value }))
  const spelled = {
    'tls-server-end-point#S256': exporter, // N-11
    'tls-unique#S512': exporter,
    'tls-exporter': exporter,
    'TLS-EXPORTER#S256': exporter,
  }
  await refuseEach(
    t,
    server,
    alice,
    [
      ...noObject,
      ...noCertificate,
      ...members,
      ...members.map(member => ({ ...good, ...member })),
      ...members.map(member => ({ 'x5t#S256': x5t, ...member })),
      ...Object.entries(spelled).map(([name, value]) => ({ ...good, [name]: value })),
    ].map((cnf): Row => [`cnf ${JSON.stringify(cnf)?.slice(0, 90)}`, forge(cnf), 'confirmation_malformed']),
  )
})

t.test('rejects the thumbprint of another object or in another encoding (CL05, N-25)', async t => {
  const { x509 } = server.pki.alice
  const hex = createHash('sha256').update(x509.raw).digest('hex')
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' })
  const of = (value: unknown, reason: Reason, name = String(value)): Row[] => [
    [`x5t#S256: ${name}`, forge({ ...good, 'x5t#S256': value }), reason],
    [`x5t#S256 alone: ${name}`, forge({ 'x5t#S256': value }), reason],
  ]
  await refuseEach(t, server, alice, [
    ...of(thumbprint(x509.toString()), 'certificate_mismatch', 'of the PEM text'),
    ...of(thumbprint(spki), 'certificate_mismatch', 'of the public key'),
    ...of(thumbprint(server.pki.ca.x509.raw), 'certificate_mismatch', 'of the authority'),
    ...of(thumbprint(server.pki.bob.x509.raw), 'certificate_mismatch', 'of bob'),
    ...of(thumbprint(''), 'certificate_mismatch', 'of empty input'),
    ...of(exporter, 'certificate_mismatch', 'the exporter'),
    ...of(thumbprint(x509.raw, 'sha1'), 'confirmation_malformed', 'SHA-1'),
    ...of(thumbprint(x509.raw, 'sha512'), 'confirmation_malformed', 'SHA-512'),
    ...of(hex, 'confirmation_malformed', 'hexadecimal'),
    ...of(x509.fingerprint256, 'confirmation_malformed', 'with colons'),
    ...of(`${x5t}=`, 'confirmation_malformed', 'with padding'),
    ...of(`${x5t}\n`, 'confirmation_malformed', 'with a newline'),
    ...of(` ${x5t}`, 'confirmation_malformed', 'with a space'),
    ...of(x5t.slice(1), 'confirmation_malformed', 'cut short'),
    ...of(`${x5t.slice(0, -1)}B`, 'confirmation_malformed', 'with stray bits'),
    ...[null, 0, true, [x5t], { x5t }, ''].flatMap(value => of(value, 'confirmation_malformed', JSON.stringify(value))),
  ])
  await refuseEach(t, server, alice, [
    [
      'exporter of another connection',
      forge({ ...good, 'tls-exporter#S256': confirmationOf(again)['tls-exporter#S256'] }),
      'connection_mismatch',
    ],
    ['the thumbprint for an exporter', forge({ ...good, 'tls-exporter#S256': x5t }), 'connection_mismatch'],
    ['tls-unique on TLS 1.3', forge({ ...good, 'tls-unique#S256': exporter }), 'connection_mismatch'],
    ['tls-unique alone on TLS 1.3', forge({ 'x5t#S256': x5t, 'tls-unique#S256': exporter }), 'connection_mismatch'],
  ])
})

t.test('rejects a certificate-bound token on a route that requires level connection (CL04)', async t => {
  t.equal((await alice.get('/strict', forge(good))).text, 'strict')
  t.equal((await alice.get('/lenient', forge({ 'x5t#S256': x5t }))).text, 'lenient')
  t.match(await alice.get('/strict', forge({ 'x5t#S256': x5t })), refusal('binding_too_weak'))
  t.match(await alice.get('/strict', await alice.token({ token_binding: 'certificate' })), refusal('binding_too_weak'))
})

t.test('verifies the connection of a connection-bound token on every route (CL13, N-24)', async t => {
  const token = await alice.token()
  t.equal((await alice.get('/lenient', token)).status, 200)
  for (const path of ['/lenient', '/api/whoami', '/api/notes', '/api/nothing'])
    for (const stolen of [token, forge(good)]) {
      t.match(await again.get(path, stolen), refusal('connection_mismatch'), path)
      t.match(await bob.get(path, stolen), refusal('certificate_mismatch'), path)
    }
})

t.test('compares scopes as whole words (CL11)', async t => {
  const read = (scope: unknown) => alice.get('/api/notes', forge(good, { scope }))
  for (const scope of ['notes:read', 'a notes:read b', 'notes:write notes:read'])
    t.equal((await read(scope)).status, 200, scope)
  const lacking = [
    '',
    'notes',
    'notes:',
    'notes:rea',
    'notes:reads',
    'notes:read:all',
    'notes:*',
    '*',
    'NOTES:READ',
    'notes:write',
    'notes:read,notes:write',
  ]
  for (const scope of lacking)
    t.match(
      await read(scope),
      {
        status: 403,
        body: { error: 'insufficient_scope', reason: 'scope_missing' },
        headers: { 'www-authenticate': /^Bearer error="insufficient_scope"/ },
      },
      `scope ${scope}`,
    )
  const spaces = [
    'notes:read\tnotes:write',
    'notes:read  x',
    ' notes:read',
    'notes:read ',
    'notes:read\nx',
    'notes:read\u00a0x',
    ' ',
  ]
  const odd = [
    undefined,
    null,
    0,
    true,
    [],
    ['notes:read'],
    { 'notes:read': true },
    'notes:read notes:read',
    'notes:read "',
    'notes:read \\',
    'notes:read é',
    'x'.repeat(1025),
  ]
  await refuseEach(
    t,
    server,
    alice,
    [...spaces, ...odd].map(
      (scope): Row => [`scope ${JSON.stringify(scope)?.slice(0, 40)}`, forge(good, { scope }), 'claims_malformed'],
    ),
  )
})

t.test('accepts a token only for the client whose certificate it is bound to (CL12)', async t => {
  for (const [connection, name, other] of [
    [alice, 'alice', 'bob'],
    [bob, 'bob', 'alice'],
  ] as const) {
    const [, payload = ''] = (await connection.token({ azp: other, sub: other, username: other })).split('.')
    t.match(JSON.parse(Buffer.from(payload, 'base64url').toString()), { client_id: name, sub: name, azp: undefined })
    t.match(await connection.requestToken({ client_id: other }), refusal('client_mismatch', 'invalid_client'))
  }
  const azp = forge(good, { azp: 'bob', act: { sub: 'bob' } })
  t.match(await alice.get('/api/whoami', azp), { status: 200, body: { client_id: 'alice', sub: 'alice' } })
})

t.test('issues tokens for the one resource, named or not, and for no other (N-35)', async t => {
  // An empty path and / are one target (RFC 3986 §6.2.3); the token has the registered spelling.
  for (const parameters of [{}, { resource: issuer }, { resource: `${issuer}/` }]) {
    const [, payload = ''] = (await alice.token(parameters)).split('.')
    t.match(JSON.parse(Buffer.from(payload, 'base64url').toString()), { aud: issuer })
  }
  for (const resource of [`${issuer}/a`, 'https://other.example', 'urn:x'])
    t.match(await alice.requestToken({ resource }), {
      status: 400,
      body: { error: 'invalid_target', reason: 'target_unknown' },
    })
})
