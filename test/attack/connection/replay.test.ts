// Replays: a stolen or forged token on a connection or with a certificate that it is not bound to. CB01–CB04, CB09, CB15,
// CB16, CB20, CB29; N-13, N-15, N-24.
import { decodeJwt } from 'jose'
import t from 'tap'
import { generateTokenKey, importSigningKey } from '../../../src/keys/token-keys.ts'
import { startTestServer, type TestConnection, type TestServerOptions } from '../../../src/testing/server.ts'
import { exchange, requestText } from '../../helpers/server/raw-http.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { requestRawToken, tryHandshake } from '../../helpers/tls/raw-tls.ts'

const jwk = await generateTokenKey('ES256')
const { sign } = await importSigningKey(jwk)
const server = await startTestServer({ env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' }, signingKeys: [jwk] })
t.teardown(() => server.close())
const whoami = '/api/whoami'
const good = { status: 200, body: { client_id: 'alice', token_binding: 'connection' } }

/** Every combination of TLS and HTTP versions. */
const kinds = [
  ['TLS 1.3, HTTP/1.1', { ALPNProtocols: ['http/1.1'] }],
  ['TLS 1.3, HTTP/2', { ALPNProtocols: ['h2'] }],
  ['TLS 1.2, HTTP/1.1', { ALPNProtocols: ['http/1.1'], maxVersion: 'TLSv1.2' }],
  ['TLS 1.2, HTTP/2', { ALPNProtocols: ['h2'], maxVersion: 'TLSv1.2' }],
] as const

for (const [kind, options] of kinds) {
  t.test(`rejects a stolen token on any other connection: ${kind} (CB01, CB02, CB03, N-24)`, async t => {
    const victim = await server.connect('alice', options)
    const token = await victim.token()
    t.match(await victim.get(whoami, token), good)

    const again = await server.connect('alice', options)
    t.match(await again.get(whoami, token), refusal('connection_mismatch'), 'CB01: the same certificate')
    for (const name of ['bob', 'mallory'] as const)
      t.match(await (await server.connect(name, options)).get(whoami, token), refusal('certificate_mismatch'), name)
    const stranger = await server.connect('stranger', options)
    t.match(await stranger.get(whoami, token), refusal('certificate_untrusted'))
    const nobody = await server.connect(null, options)
    t.match(await nobody.get(whoami, token), refusal('no_certificate'), 'CB03')

    t.match(await victim.get(whoami, token), good, 'it still works on its own connection')
    victim.close()
    t.match(
      await again.get(whoami, token),
      refusal('connection_mismatch'),
      'still rejected after its own connection has ended',
    )
    t.match(await again.get(whoami, await again.token()), good, 'a new token is accepted')
  })

  t.test(`accepts a certificate-bound token on every connection of its certificate only: ${kind}`, async t => {
    const token = await (await server.connect('alice', options)).token({ token_binding: 'certificate' })
    const elsewhere = { status: 200, body: { client_id: 'alice', token_binding: 'certificate' } }
    for (const [, other] of kinds) t.match(await (await server.connect('alice', other)).get(whoami, token), elsewhere)
    const bob = await server.connect('bob', options)
    t.match(await bob.get(whoami, token), refusal('certificate_mismatch'), 'CB02, N-24')
  })
}

t.test('rejects a token of TLS 1.2 on TLS 1.3, and the reverse (CB01)', async t => {
  const on13 = await server.connect('alice')
  const on12 = await server.connect('alice', { maxVersion: 'TLSv1.2' })
  const [token13, token12] = [await on13.token(), await on12.token()]
  t.match(await on13.get(whoami, token13), good)
  t.match(await on12.get(whoami, token12), good)
  t.match(await on13.get(whoami, token12), refusal('connection_mismatch'))
  t.match(await on12.get(whoami, token13), refusal('connection_mismatch'))
})

t.test('serves ten thousand requests on the issuing connection (CB04)', async t => {
  const connection = await server.connect('alice')
  const request = requestText(`GET ${whoami}`, [`Authorization: Bearer ${await requestRawToken(connection)}`])
  const statuses = new Map<number, number>()
  for (let round = 0; round < 100; round++) {
    const { answers } = await exchange(connection, request.repeat(100), { until: 100 })
    for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  t.same([...statuses], [[200, 10_000]])
})

/** The bindings that the server reports for a connection, as `cnf` members. */
async function confirmationOf(connection: TestConnection): Promise<Record<string, string>> {
  const { certificate, bindings } = (await connection.get('/binding')).body
  const members = Object.entries(bindings).map(([type, value]) => [`${type}#S256`, value])
  return { 'x5t#S256': certificate['x5t#S256'], ...Object.fromEntries(members) }
}

/** A token with another `cnf`, signed by the issuer. */
const withConfirmation = (token: string, cnf: object) => sign({ ...decodeJwt(token), jti: 'crafted', cnf })

for (const [kind, options] of kinds)
  t.test(`requires every member of cnf to match: ${kind} (CB16, N-13, N-15)`, async t => {
    const connection = await server.connect('alice', options)
    const token = await connection.token()
    const mine = await confirmationOf(connection)
    const other = await confirmationOf(await server.connect('bob', options))
    t.same(decodeJwt(token).cnf, mine, 'a token names the type of each binding')
    t.match(await connection.get(whoami, withConfirmation(token, mine)), good)

    for (const member of Object.keys(mine)) {
      const oneWrong = withConfirmation(token, { ...mine, [member]: other[member] })
      const reason = member === 'x5t#S256' ? 'certificate_mismatch' : 'connection_mismatch'
      t.match(await connection.get(whoami, oneWrong), refusal(reason), `only ${member} is wrong`)
      const oneRight = withConfirmation(token, { ...other, [member]: mine[member] })
      const first = member === 'x5t#S256' ? 'connection_mismatch' : 'certificate_mismatch'
      t.match(await connection.get(whoami, oneRight), refusal(first), `only ${member} is right`)
    }
  })

t.test('offers no tls-unique on TLS 1.3 (CB09, N-05)', async t => {
  const on12 = await server.connect('alice', { maxVersion: 'TLSv1.2' })
  const on13 = await server.connect('alice')
  const token = await on13.token()
  const { 'x5t#S256': certificate, 'tls-exporter#S256': exporter } = await confirmationOf(on13)
  const { 'tls-unique#S256': unique } = await confirmationOf(on12)
  t.type(unique, 'string')
  t.match(
    await on13.get(whoami, withConfirmation(token, { 'x5t#S256': certificate, 'tls-exporter#S256': exporter })),
    good,
  )
  for (const cnf of [
    { 'x5t#S256': certificate, 'tls-unique#S256': unique },
    { 'x5t#S256': certificate, 'tls-exporter#S256': exporter, 'tls-unique#S256': unique },
  ])
    t.match(await on13.get(whoami, withConfirmation(token, cnf)), refusal('connection_mismatch'))
  for (const token_binding of ['tls-unique', 'tls-exporter', 'tls-server-end-point', 'none', 'certificate connection'])
    t.match(await on13.requestToken({ token_binding }), {
      status: 400,
      body: { error: 'invalid_request', reason: 'binding_not_allowed' },
    })
})

t.test('issues no weaker token to a client that offers only TLS 1.2 (CB15)', async t => {
  const strict = await startTestServer()
  t.teardown(() => strict.close())
  const { certificate: cert, key } = strict.pki.alice
  const options = { port: strict.port, ca: strict.pki.ca.certificate, servername: 'localhost', cert, key }
  t.equal(await tryHandshake(options), 'connected')
  t.equal(await tryHandshake({ ...options, maxVersion: 'TLSv1.2' }), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')

  const weak = await server.connect('alice', { maxVersion: 'TLSv1.2', secureOptions: 1 }) // no extended master secret
  const { body } = await weak.get('/binding')
  t.match(body, { protocol: 'TLSv1.2', extended_master_secret: false, bindings: {} })
  const nothing = { status: 400, body: { error: 'invalid_request', reason: 'binding_unavailable' } }
  t.match(await weak.requestToken(), nothing, 'N-03')
  t.match(await weak.requestToken({ token_binding: 'connection' }), nothing)
  const stolen = await (await server.connect('alice', { maxVersion: 'TLSv1.2' })).token()
  t.match(await weak.get(whoami, stolen), refusal('connection_mismatch'))
  t.match(await weak.get(whoami, await weak.token({ token_binding: 'certificate' })), { status: 200 })
})

t.test('ignores binding values in a request (CB20, N-54)', async t => {
  const victim = await server.connect('alice')
  const thief = await server.connect('alice')
  const token = await victim.token()
  const claimed = await confirmationOf(victim)
  const value = victim.socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('base64')
  const headers: Record<string, string> = {
    'tls-exporter': value,
    'sec-token-binding': value,
    'session-binding-proof': token,
    'concealed-auth-export': `:${value}:`,
    'x-tls-exporter': value,
    'x-tls-unique': value,
    'x-tls-protocol': 'TLSv1.3',
    'x-tls-client-cert': server.pki.alice.x509.raw.toString('base64'),
    'client-cert': `:${server.pki.alice.x509.raw.toString('base64')}:`,
    'x-forwarded-client-cert': `Hash=${claimed['x5t#S256']}`,
    'content-type': 'application/x-www-form-urlencoded',
  }
  t.match(await victim.call(whoami, { token, headers }), good)
  t.match(await thief.call(whoami, { token, headers }), refusal('connection_mismatch'))
  const mallory = await server.connect('mallory')
  t.match(await mallory.call(whoami, { token, headers }), refusal('certificate_mismatch'))
  t.match(await (await server.connect(null)).call(whoami, { token, headers }), refusal('no_certificate'))

  const form = {
    grant_type: 'client_credentials',
    client_id: 'alice',
    cnf: JSON.stringify(claimed),
    ...claimed,
    ...headers,
  }
  const issued = await thief.call('/oauth/token', { method: 'POST', headers, body: `${new URLSearchParams(form)}` })
  t.equal(issued.status, 200)
  t.same(decodeJwt(issued.body.access_token).cnf, await confirmationOf(thief))
  t.match(await victim.get(whoami, issued.body.access_token), refusal('connection_mismatch'))
})

t.test('ends connection-bound tokens, and only those, when the server restarts (CB29)', async t => {
  const options: TestServerOptions = { pki: server.pki, signingKeys: [jwk] }
  const before = await startTestServer(options)
  t.teardown(() => before.close())
  const old = await before.connect('alice')
  const tokens = [await old.token(), await old.token({ token_binding: 'certificate' })] as const
  t.match(await old.get(whoami, tokens[0]), good)
  await before.close()
  await t.rejects(old.get(whoami, tokens[0]), 'the connection ended with the server')

  const after = await startTestServer(options)
  t.teardown(() => after.close())
  const fresh = await after.connect('alice')
  t.match(await fresh.get(whoami, tokens[0]), refusal('connection_mismatch'))
  t.match(await fresh.get(whoami, tokens[1]), { status: 200, body: { token_binding: 'certificate' } })
  t.match(await fresh.get(whoami, await fresh.token()), good)
})

t.test('writes neither binding values nor tokens to the log or the security events (N-06)', async t => {
  const connection = await server.connect('alice', { maxVersion: 'TLSv1.2' })
  const token = await connection.token()
  t.match(await connection.get(whoami, token), good)
  t.match(await (await server.connect('bob')).get(whoami, token), refusal('certificate_mismatch'))
  const values = [
    connection.socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)),
    connection.socket.getFinished() as Buffer,
  ]
  const written = `${server.log.join('')}${JSON.stringify(server.events)}`
  t.match(written, (await confirmationOf(connection))['tls-unique#S256'] as string, 'control: thumbprints are written')
  for (const value of values)
    for (const encoding of ['hex', 'base64', 'base64url'] as const) t.notMatch(written, value.toString(encoding))
  t.notMatch(written, token.split('.')[2] as string)
})
