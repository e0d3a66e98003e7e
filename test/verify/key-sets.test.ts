// Key sets of issuers as createVerifier gets them: members of every JSON type beside a valid key, and documents behind https URLs
// and the issuer's metadata (RFC 8414 §3, OpenID Connect Discovery §4). RFC 7517 §4, §5; JW05, JW32.
import { generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { createVerifier, type Verifier } from 'tlsbound'
import { type Fixture, fixtures, keys, pki, rsa, sign, startVerifying } from '../helpers/tokens/issuer-fixtures.ts'
import { startKeyServer } from '../helpers/tokens/outside-issuer.ts'

let verifier: Verifier
const connect = await startVerifying(t, () => verifier)
const [fixture] = fixtures
if (fixture === undefined) throw new Error('there is no fixture')
const { profile } = fixture
const audience = 'https://api.example'
const good = await sign(fixture)
const unavailable = { status: 503, body: { error: 'temporarily_unavailable', reason: 'issuer_unavailable' } }

t.test('a key with members of every JSON type does not spoil the valid one beside it', async t => {
  const alice = await connect('alice')
  const jwk = rsa.publicKey.export({ format: 'jwk' })
  const onCurve = (namedCurve: string) => {
    try {
      return generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' })
    } catch {
      return { kty: 'EC', crv: namedCurve, x: 'AA', y: 'AA' } // Node exports no JWK on this curve
    }
  }
  const values: readonly unknown[] = [
    null,
    true,
    0,
    -1,
    1.5,
    '',
    'x',
    '\u0000',
    [],
    [null],
    ['x'],
    {},
    { toString: 1 },
    'A'.repeat(10_000),
  ]
  const odd: unknown[] = [
    ...['kty', 'crv', 'alg', 'use', 'key_ops', 'kid', 'x', 'y', 'n', 'e', 'd', 'k', 'x5c', 'x5t', 'exp', 'ext'].flatMap(
      name => values.map(value => ({ ...jwk, kid: 'odd', [name]: value })),
    ),
    ...values,
    ...['secp256k1', 'brainpoolP256r1', 'P-192', 'Ed448', 'X25519', '__proto__'].map(onCurve),
    JSON.parse('{"__proto__":{"kty":"RSA"}}'),
  ]
  const problems: string[] = []
  const lines: string[] = []
  for (const key of odd) {
    verifier = createVerifier({
      ...{ issuer: fixture.payload.iss as string, audience, profile, jwks: { keys: [key, ...keys] } },
      onWarning: line => lines.push(line),
    })
    const { status } = await alice.get('/', good)
    if (status !== 200) problems.push(`${JSON.stringify(key).slice(0, 80)}: ${status}`)
  }
  t.same(problems, [])
  t.ok(lines.length > 100, 'and is named')
  t.same(
    lines.filter(line => line.length > 300 || /\p{Cc}/u.test(line)),
    [],
    'in one short line',
  )
  for (const key of [
    { ...jwk, kid: 'r', use: 'enc' },
    { ...jwk, kid: 'r', d: 'AA' },
    null,
    { kty: 'oct', k: 'AA', kid: 'r' },
  ])
    t.throws(
      () => createVerifier({ issuer: 'https://a.example', audience, jwks: { keys: [key] } }),
      { name: 'TypeError', message: /^jwks: none of its keys can verify access tokens; key number 1/ },
      'control: alone it is no key set',
    )
})

/** An issuer over HTTPS, whose documents can be set by path: JSON, or the address of a redirect. */
async function startIssuer(t: Test) {
  const documents: Record<string, unknown> = {}
  const requested: string[] = []
  const server = await startKeyServer(t, pki, (request, response) => {
    const path = request.url as string
    requested.push(path)
    const document = documents[path]
    if (typeof document === 'string') return void response.writeHead(302, { location: document }).end()
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(document === undefined ? '' : JSON.stringify(document))
  })
  const { origin } = new URL(server.uri)
  const use = (jwks?: { uri: string }) => {
    verifier = createVerifier({ issuer: origin, audience, profile, jwks: { ...jwks, ca: pki.ca.certificate } })
  }
  return {
    origin,
    documents,
    requested,
    use,
    token: await sign(fixture as Fixture, { payload: { iss: origin } }),
  }
}

t.test('finds the keys by either form of the metadata, and by no other issuer’s', async t => {
  const alice = await connect('alice')
  const { origin, documents, requested, use, token } = await startIssuer(t)
  const [openid, oauth] = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']
  const metadata = { issuer: origin, jwks_uri: `${origin}/keys` }
  documents['/keys'] = { keys }
  documents['/moved'] = metadata
  for (const [name, found, expected] of [
    ['OpenID Connect', { [openid as string]: metadata }, { status: 200 }],
    ['RFC 8414', { [oauth as string]: metadata }, { status: 200 }],
    ['neither', {}, unavailable],
    ['another issuer', { [openid as string]: { ...metadata, issuer: 'https://evil.example' } }, unavailable],
    ['a slash more', { [oauth as string]: { ...metadata, issuer: `${origin}/` } }, unavailable],
    ['no issuer', { [openid as string]: { jwks_uri: metadata.jwks_uri } }, unavailable],
    ['a redirect', { [openid as string]: `${origin}/moved` }, unavailable],
    ['keys over http', { [openid as string]: { ...metadata, jwks_uri: 'http://localhost/keys' } }, unavailable],
    ['keys of another type', { [openid as string]: { ...metadata, jwks_uri: ['x'] } }, unavailable],
  ] as const) {
    for (const path of [openid, oauth]) delete documents[path as string]
    Object.assign(documents, found)
    use()
    t.match(await alice.get('/', token), expected, name)
  }
  t.notOk(requested.includes('/moved'))
})

t.test('accepts a large key set, and none that is too large', async t => {
  const alice = await connect('alice')
  const { origin, documents, use, token } = await startIssuer(t)
  const large = (octets: number) => ({
    keys: [...Array.from({ length: 9 }, () => ({ ...keys[0], kid: 'x', x5c: ['A'.repeat(octets)] })), ...keys],
  })
  documents['/large'] = large(11_000)
  documents['/larger'] = large(30_000)
  use({ uri: `${origin}/large` })
  t.match(await alice.get('/', token), { status: 200 }, '100 KiB')
  use({ uri: `${origin}/larger` })
  t.match(await alice.get('/', token), unavailable, 'more than 256 KiB')
})
