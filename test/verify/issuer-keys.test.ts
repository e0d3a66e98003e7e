// A resource server that fetches its issuer's keys, follows their rotation, and rejects all tokens without them.
// JW05, JW34, RE04; RFC 7517 §5.

import { generateKeyPairSync } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { type IssuerKeys, mutualTls, type OAuthError, requireToken } from 'tlsbound'
import { remoteLimits } from '../../src/keys/remote-document.ts'
import { generateTokenKey, importSigningKey } from '../../src/keys/token-keys.ts'
import type { RequireTokenInternals } from '../../src/plugins/fastify.ts'
import { openConnection } from '../../src/testing/connection.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { openIssuerKeys } from '../../src/verify/issuer-keys.ts'
import { resolveProfile } from '../../src/verify/issuer-profiles.ts'
import { createIssuerReader } from '../../src/verify/issuer-token.ts'
import { createTokenVerifier } from '../../src/verify/token-verifier.ts'
import { startKeyServer } from '../helpers/tokens/outside-issuer.ts'
import { until } from '../helpers/until.ts'

const issuer = await startTestServer()
t.teardown(() => issuer.close())
const { pki } = issuer
const alice = await issuer.connect('alice')
const ca = pki.ca.certificate
const uri = `${issuer.origin}/oauth/jwks`
const expected = { issuer: 'https://localhost:8443', audience: 'https://localhost:8443' }
const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid

/** The refusals of all resource servers. */
const refusals: OAuthError[] = []

/** A resource server and alice's connection to it. */
async function startResourceServer(jwks: IssuerKeys, internals?: RequireTokenInternals) {
  const app = Fastify({ serverFactory: mutualTls({ cert: pki.server.certificate, key: pki.server.key, ca }) })
  const onRefusal = (_request: unknown, refusal: OAuthError) => void refusals.push(refusal)
  await app.register(requireToken, internals ?? { ...expected, jwks, onRefusal })
  app.get('/', request => request.token.binding)
  app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const tls = { host: '127.0.0.1', port, servername: 'localhost', ca, cert: pki.alice.certificate, key: pki.alice.key }
  const connection = await openConnection(tls, 'alice')
  t.teardown(() => connection.close())
  return connection
}

t.test('accepts tokens of the issuer, and no others, with the address of its keys', async t => {
  const there = await startResourceServer({ uri, ca })
  const token = await alice.token({ token_binding: 'proof' })
  t.match(await there.get('/', token, there.prove(token)), { status: 200, text: 'proof' })
  t.match(await there.get('/', `${token.slice(0, -8)}AAAAAAAA`), { status: 401, body: { reason: 'bad_signature' } })
  const { detail, facts } = refusals.at(-1) as OAuthError
  t.match({ detail, facts }, { detail: 'wrong_signature', facts: { kid: kidOf(token), alg: 'ES256', address: uri } })
  t.ok(Math.abs((facts.fetched as number) - Date.now() / 1000) < 60, 'the time at which the keys were fetched')
  const portable = await alice.token({ token_binding: 'certificate' })
  t.match(await there.get('/', portable), { status: 200, text: 'certificate' })
  t.match(await (await startResourceServer({ uri, ca })).get('/strict', portable), {
    status: 401,
    body: { reason: 'binding_too_weak' },
  })
  const other = await startTestServer({ pki })
  t.teardown(() => other.close())
  const foreign = await (await other.connect('alice')).token({ token_binding: 'certificate' })
  t.match(await there.get('/', foreign), { status: 401, body: { reason: 'bad_signature' } }, 'an unknown kid')
})

t.test('finds a newly published key, and fetches at most every 30 seconds for an unknown one', async t => {
  let time = 0
  const options = { issuer: 'https://localhost:8443', algorithms: ['ES256'] as const, clock: () => time }
  const { find, generation } = openIssuerKeys({ uri, ca }, options)
  const look = async (token: string) => (await find('ES256', kidOf(token))).map(({ kid }) => kid)
  const before = await alice.token({ token_binding: 'certificate' })
  t.same(await look(before), [kidOf(before)], 'control')
  const first = generation()
  issuer.keys.replace([await importSigningKey(await generateTokenKey('ES256'))], issuer.clock)
  const after = await alice.token({ token_binding: 'certificate' })
  t.same(await look(after), [], 'fetched a moment ago')
  t.equal(generation(), first)
  time += remoteLimits.cooldown
  t.same(await look(after), [kidOf(after)])
  t.not(generation(), first, 'a key was removed')
  t.same(await look(before), [], 'a key that is no longer published is no longer valid')
})

t.test('rejects tokens of a removed key on live connections once the keys are fetched', async t => {
  let time = 0
  const { find, generation } = openIssuerKeys({ uri, ca }, { ...expected, algorithms: ['ES256'], clock: () => time })
  const verifier = createTokenVerifier({
    ...expected,
    readToken: createIssuerReader(resolveProfile('rfc9068'), find, 'https://issuer.example'),
    keyGeneration: generation,
    now: () => Date.now() / 1000,
  })
  const there = await startResourceServer({ keys: [] }, { verifier })
  const before = await alice.token({ token_binding: 'certificate' })
  t.match(await there.get('/', before), { status: 200 }, 'control')
  issuer.keys.replace([await importSigningKey(await generateTokenKey('ES256'))], issuer.clock)
  const after = await alice.token({ token_binding: 'certificate' })
  t.match(await there.get('/', before), { status: 200 }, 'keys are cached for ten minutes')
  time += remoteLimits.lifetime
  const first = generation() // fetches them again in the background
  await until(() => generation() !== first)
  t.match(await there.get('/', before), { status: 401, body: { reason: 'revoked' } })
  t.match(await there.get('/', before), { status: 401, body: { reason: 'bad_signature' } }, 'then its key is unknown')
  t.match(await there.get('/', after), { status: 200 }, 'control')
})

t.test('rejects tokens of an algorithm that a key is no longer for, on live connections too', async t => {
  let time = 0
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one' }
  let document: object = { keys: [jwk] }
  const serve: Parameters<typeof startKeyServer>[2] = (_request, response) => response.end(JSON.stringify(document))
  const { uri } = await startKeyServer(t, pki, serve)
  const options = { issuer: 'https://localhost:8443', algorithms: ['RS256', 'PS256'] as const, clock: () => time }
  const { find, generation } = openIssuerKeys({ uri, ca }, options)
  const fetchAgain = async (keys: readonly object[]) => {
    document = { keys }
    time += remoteLimits.lifetime
    await find('RS256', 'another') // waits for the document
    return generation()
  }
  const verifies = async (alg: 'RS256' | 'PS256') => (await find(alg, 'one')).length > 0
  t.same([await verifies('RS256'), await verifies('PS256')], [true, true], 'control')
  const first = generation()
  const two = { ...jwk, kid: 'two' }
  t.equal(await fetchAgain([jwk, two]), first, 'control: nothing was removed')
  const second = await fetchAgain([{ ...jwk, alg: 'PS256' }, two])
  t.not(second, first, 'RS256 was withdrawn')
  t.same([await verifies('RS256'), await verifies('PS256')], [false, true])
  await fetchAgain([jwk, two])
  t.same([await verifies('RS256'), generation()], [true, second], 'an algorithm was added')
})

t.test('answers 503 without delay when the keys are unavailable', async t => {
  const broken: Parameters<typeof startKeyServer>[2] = (_request, response) => response.end('{"keys":[]}')
  const token = await alice.token({ token_binding: 'certificate' })
  const unavailable = { status: 503, headers: { 'retry-after': '1' }, body: { reason: 'issuer_unavailable' } }
  t.match(await (await startResourceServer({ uri: 'https://127.0.0.1:1/', ca })).get('/', token), unavailable)
  t.match(await (await startResourceServer({ uri })).get('/', token), unavailable, 'an untrusted authority')
  const empty = await startResourceServer({ uri: (await startKeyServer(t, pki, broken)).uri, ca })
  t.match(await empty.get('/', token), unavailable, 'a document without keys')
  t.match(await (await startResourceServer({ uri, ca })).get('/', token), { status: 200 }, 'control')
})
