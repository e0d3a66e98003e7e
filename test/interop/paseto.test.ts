// PASETO of this project and the library `paseto` (npm, by Filip Skokan): each verifies the tokens of the other, with the keys that
// the server publishes as PASERK. A third reader, by hand, is in test/helpers/tokens/forge-paseto.ts.
import { createPrivateKey } from 'node:crypto'
import { PublicProtocol } from 'paseto'
import { ImportPublicKeyFactory, ImportSecretKeyFactory, SignFactory, VerifyFactory } from 'paseto/v4/public'
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { refuseEach } from '../helpers/server/refusals.ts'
import { implicitOf } from '../helpers/tokens/forge-paseto.ts'
import { claimsFor, issuer } from '../helpers/tokens/forge-token.ts'
import { register } from '../helpers/tokens/grants.ts'

const [ec, key] = [await generateTokenKey('ES256'), await generateTokenKey('v4.public')]
const clients = [register('alice', { access_token_format: 'paseto' })]
const server = await startTestServer({ clients, signingKeys: [ec, key] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const library = new PublicProtocol(ImportPublicKeyFactory, ImportSecretKeyFactory, SignFactory, VerifyFactory)
const octets = (text: string) => new Uint8Array(Buffer.from(text))
const implicitAssertion = octets(implicitOf())
const published = (await alice.get('/oauth/paserks')).body.keys as Record<string, `k4.public.${string}`>

t.test('the library verifies a token of the server with its published key (N-71)', async t => {
  const token = await alice.token()
  const footer = JSON.parse(Buffer.from(token.split('.')[3] as string, 'base64url').toString())
  const publicKey = await library.ImportPublicKey(published[footer.kid] as `k4.public.${string}`)
  const { claims } = await library.Verify(publicKey, token, {
    implicitAssertion,
    ...{ issuer, audience: issuer, subject: 'alice', requiredClaims: ['cnf', 'client_id', 'jti', 'nbf'] },
    maxTokenAge: 60,
  })
  t.match(claims, { iss: issuer, client_id: 'alice', cnf: { 'x5t#S256': String } })
  await t.rejects(library.Verify(publicKey, token), 'without the implicit assertion')
  const other = octets(implicitOf('https://other.example'))
  await t.rejects(library.Verify(publicKey, token, { implicitAssertion: other }), 'of another issuer')
})

t.test('the server accepts a token that the library signed with its key, and no other (N-71)', async t => {
  const { x, d } = createPrivateKey({ key, format: 'jwk' }).export({ format: 'jwk' })
  const secret = Buffer.concat([Buffer.from(String(d), 'base64url'), Buffer.from(String(x), 'base64url')])
  const secretKey = await library.ImportSecretKey(`k4.secret.${secret.toString('base64url')}`)
  const { iat, exp, ...claims } = claimsFor(alice, server)
  const times = { iat: new Date(iat * 1000).toISOString(), exp: new Date(exp * 1000).toISOString() }
  const footer = octets(JSON.stringify({ kid: key.kid }))
  const token = await library.Sign(secretKey, { ...claims, ...times }, { footer, implicitAssertion })
  t.match(await alice.get('/api/whoami', token), { status: 200, body: { client_id: 'alice' } })
  await refuseEach(t, server, alice, [
    ['without the implicit assertion', await library.Sign(secretKey, { ...claims, ...times }, { footer })],
    ['without a footer', await library.Sign(secretKey, { ...claims, ...times }, { implicitAssertion })],
  ])
})
