// A resource server that accepts the PASETO of its issuer: with the keys that the issuer publishes, and no setting of its own. JW03, JW05,
// JW24, RE04 again for this form.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type AcceptedIssuer, createVerifier, mutualTls, type OAuthError } from 'tlsbound'
import { generateTokenKey, importSigningKeys, type TokenJwk } from '../../src/keys/token-keys.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { forgePaseto, implicitOf } from '../helpers/tokens/forge-paseto.ts'
import { claimsFor } from '../helpers/tokens/forge-token.ts'
import { register } from '../helpers/tokens/grants.ts'

const name = 'https://as.example'
const audience = 'https://rs.example'
const [ec, key, next] = (await Promise.all((['ES256', 'v4.public', 'v4.public'] as const).map(generateTokenKey))) as [
  TokenJwk,
  TokenJwk,
  TokenJwk,
]
const levels = { token_bindings: ['connection', 'certificate', 'proof'] }
const issuer = await startTestServer({
  env: { TLSBOUND_ISSUER: name, TLSBOUND_AUDIENCE: audience },
  clients: [register('alice', { access_token_format: 'paseto', ...levels }), register('bob', levels)],
  signingKeys: [ec, key],
})
t.teardown(() => issuer.close())
const { pki } = issuer
const material = { cert: pki.server.certificate, key: pki.server.key, ca: pki.ca.certificate }
const alice = await issuer.connect('alice')
const bob = await issuer.connect('bob')
const jwks = (await alice.get('/oauth/jwks')).body as { keys: Record<string, unknown>[] }
const accepted: AcceptedIssuer = { issuer: name, audience, jwks }

/** A server with a verifier, and a function that presents tokens to it as alice; refused ones by their detail. */
async function start(t: Test, ...issuers: readonly AcceptedIssuer[]) {
  const refusals: OAuthError[] = []
  const warnings: string[] = []
  const verifier = createVerifier({
    issuers,
    onRefusal: (_request, refusal) => void refusals.push(refusal),
    onWarning: warning => void warnings.push(warning),
  })
  const handle = async (
    request: Parameters<typeof verifier.verify>[0],
    response: Parameters<typeof verifier.sendRefusal>[0],
  ) => {
    try {
      const { claims, binding } = await verifier.verify(request)
      ;(response as unknown as { end(text: string): void }).end(JSON.stringify({ claims, binding }))
    } catch (error) {
      verifier.sendRefusal(response, error)
    }
  }
  const server = mutualTls(material)(handle as never)
  await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const tls = {
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: material.ca,
    cert: pki.alice.certificate,
    key: pki.alice.key,
  }
  const connection = await openConnection(tls, 'alice')
  t.teardown(() => connection.close())
  const use = async (token: string) => {
    const { status, body } = await connection.get('/', token)
    return status === 200 ? body.binding : `${status} ${body.reason} ${refusals.at(-1)?.detail}`
  }
  return { use, connection, warnings, refusals }
}

const portable = await alice.token({ token_binding: 'certificate' })
const claims = {
  ...claimsFor(alice, issuer),
  iss: name,
  aud: audience,
  cnf: { 'x5t#S256': claimsFor(alice, issuer).cnf['x5t#S256'] },
}
const forge = (more: object = {}) => forgePaseto({ jwk: key, claims, implicit: implicitOf(name), ...more })

t.test('accepts a PASETO of its issuer beside its JWTs, at every level (N-71, N-72)', async t => {
  const { use, connection, warnings } = await start(t, accepted)
  t.equal(await use(portable), 'certificate')
  t.equal(await use(forge()), 'certificate')
  t.equal(await use(await bob.token({ token_binding: 'certificate' })), '401 certificate_mismatch other_certificate')
  const proven = await alice.token({ token_binding: 'proof' })
  t.match(await connection.get('/', proven, connection.prove(proven)), { status: 200, body: { binding: 'proof' } })
  t.equal(await use(await alice.token()), '401 connection_mismatch other_connection')
  const { body } = await connection.get('/', portable)
  t.match(body.claims, { iat: issuer.clock, exp: issuer.clock + 300, client_id: 'alice', sub: 'alice' })
  t.same(warnings, [])
})

t.test('rejects PASETO that its issuer did not sign for this purpose', async t => {
  const { use, refusals } = await start(t, accepted)
  for (const [token, refused] of [
    [forge({ implicit: '' }), 'bad_signature wrong_signature'],
    [forge({ implicit: implicitOf(audience) }), 'bad_signature wrong_signature'],
    [forge({ jwk: { ...next, kid: key.kid } }), 'bad_signature wrong_signature'],
    [forge({ jwk: next }), 'bad_signature unknown_key'],
    [forge({ footer: null }), 'bad_signature footer'],
    [forge({ sent: 'v4.local.' }), 'bad_signature paseto_version'],
    [forge({ claims: '{"iss":"a","iss":"b"}' }), 'bad_signature not_paseto'],
    [forge({ claims: { ...claims, iss: 'https://other.example' } }), 'wrong_issuer iss'],
    [forge({ claims: { ...claims, aud: name } }), 'wrong_audience aud'],
    [forge({ claims: { ...claims, exp: issuer.clock - 1, iat: issuer.clock - 300 } }), 'expired ended'],
    [forge({ claims: { ...claims, cnf: {} } }), 'confirmation_malformed form'],
    [forge({ claims: { ...claims, more: 'x'.repeat(8000) } }), 'bad_signature too_long'],
  ] as const)
    t.match(await use(token), new RegExp(`^401 ${refused.split(' ')[0]} `), refused)
  const details = refusals.map(({ reason, detail }) => `${reason} ${detail}`)
  t.equal(new Set(details).size, 10, details.join())
  t.equal(await use(forge()), 'certificate', 'control')
})

t.test('uses no key of another purpose for a PASETO, and no key of PASETO for a JWT (N-72)', async t => {
  const { kty, crv, x, kid } = key
  const as = (members: object) => ({ ...accepted, jwks: { keys: [jwks.keys[0], { kty, crv, x, kid, ...members }] } })
  for (const members of [{}, { alg: 'EdDSA' }, { alg: 'Ed25519' }, { alg: 'EdDSA', use: 'sig' }])
    t.equal(await (await start(t, as(members))).use(forge()), '401 bad_signature unknown_key', JSON.stringify(members))
  t.equal(await (await start(t, as({ alg: 'v4.public' }))).use(forge()), 'certificate', 'control')
  const { use } = await start(t, accepted)
  const head = Buffer.from(JSON.stringify({ alg: 'v4.public', typ: 'at+jwt', kid })).toString('base64url')
  t.equal(await use(`${head}.e30.AAAA`), '401 bad_signature wrong_algorithm')
})

t.test('accepts no PASETO with the profile of another provider, or without v4.public in its algorithms', async t => {
  for (const profile of [
    'keycloak',
    'hydra',
    { types: ['at+jwt'] },
    { types: ['at+jwt'], algorithms: ['ES256', 'EdDSA'] },
  ] as const) {
    const { use } = await start(t, { ...accepted, profile })
    t.equal(await use(portable), '401 bad_signature wrong_algorithm', JSON.stringify(profile))
  }
  const { use } = await start(t, { ...accepted, profile: { types: ['at+jwt'], algorithms: ['v4.public'] } })
  t.equal(await use(portable), 'certificate', 'control')
  t.equal(await use(await bob.token()), '401 bad_signature wrong_algorithm', 'a JWT')
})

t.test('selects one of several issuers by the claims, whose key and name must fit', async t => {
  const other: AcceptedIssuer = { issuer: 'https://other.example', audience, jwks: { keys: [{ ...publicOf(next) }] } }
  const { use } = await start(t, other, accepted)
  t.equal(await use(portable), 'certificate')
  const byOther = (more: object) =>
    forgePaseto({ jwk: next, claims: { ...claims, iss: other.issuer }, implicit: implicitOf(other.issuer), ...more })
  t.equal(await use(byOther({})), 'certificate')
  t.equal(await use(byOther({ implicit: implicitOf(name) })), '401 bad_signature wrong_signature')
  t.equal(await use(byOther({ claims, implicit: implicitOf(name) })), '401 bad_signature unknown_key')
  for (const text of ['v4.public.x', 'v4.local.AAAA', 'v4.public.', portable.slice(0, 90)])
    t.equal(await use(text), '401 wrong_issuer iss', text)
})

const publicOf = ({ kty, crv, x, kid, alg }: TokenJwk) => ({ kty, crv, x, kid, alg })

t.test('follows a rotation of the published keys, and rejects tokens of a removed one', async t => {
  const published = { keys: [ec, key] }
  const { certificate: cert, key: serverKey } = pki.server
  const keyServer = createServer({ cert, key: serverKey }, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ keys: published.keys.map(publicOf) }))
  })
  await new Promise<void>(done => void keyServer.listen(0, '127.0.0.1', done))
  t.teardown(() => keyServer.close())
  const uri = `https://127.0.0.1:${(keyServer.address() as AddressInfo).port}/jwks`
  const fetched: AcceptedIssuer = { issuer: name, audience, jwks: { uri, ca: pki.ca.certificate } }
  t.equal(await (await start(t, fetched)).use(portable), 'certificate')
  issuer.keys.replace(await importSigningKeys([ec, next]), issuer.clock)
  published.keys = [ec, next]
  const { use } = await start(t, fetched)
  t.equal(await use(portable), '401 bad_signature unknown_key')
  t.equal(await use(await alice.token({ token_binding: 'certificate' })), 'certificate', 'control')
})
