// The scenarios about tokens, proofs, refresh tokens and HTTP name the reason if they cannot run. matrix.test.ts runs them
// against tlsbound; broken.test.ts and token-faults.test.ts show that each can fail.
import t from 'tap'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import type { Cast } from '../../src/lab/cast.ts'
import { scenarios as catalog } from '../../src/lab/catalog.ts'
import type { Answer } from '../../src/lab/connection.ts'
import { type ProfileOptions, readProfile } from '../../src/lab/profile.ts'
import { runLab } from '../../src/lab/run.ts'
import type { StageOptions } from '../../src/lab/stage.ts'
import { startTestServer, type TestServer } from '../../src/testing/server.ts'
import { castOf, labClients, makePasetoKeys } from '../helpers/lab/lab.ts'

t.setTimeout(120_000)

const ofProofs = ['unsigned-proof', 'proof-by-another-key', 'proof-of-another-token', 'stale-proof', 'stolen-proof']
const ofRefreshTokens = [
  ...['refresh-by-another-client', 'refresh-token-reuse', 'refresh-token-race'],
  ...['refresh-before-renewal', 'refresh-during-renewal', 'refresh-after-renewal'],
]
const ofClaims = ['changed-claims', 'unsigned-token', 'empty-signature', 'symmetric-signature', 'key-in-header']
const ofPaseto = catalog.map(({ id }) => id).filter(id => id.startsWith('paseto-'))
const ofConfirmations = ['broken-confirmation', 'unknown-confirmation']
const ofRequests = [
  ...['token-in-query', 'token-elsewhere', 'two-authorization-headers', 'ambiguous-token', 'garbage-token'],
  ...['forged-certificate-headers', 'forged-binding-headers', 'other-request'],
]
const find = (...wanted: readonly string[]) => catalog.filter(({ id }) => wanted.includes(id))

/** Runs one scenario with its own cast, profile and time limit. */
async function play(
  server: TestServer,
  id: string,
  options: {
    cast?: Partial<Cast>
    profile?: ProfileOptions
    stage?: Partial<StageOptions>
    get?: () => Promise<Answer>
  } = {},
) {
  const asker = await server.connect('alice')
  const get = options.get ?? ((path: string) => asker.get(path))
  const stage: StageOptions = {
    profile: await readProfile(new URL(server.origin), options.profile ?? {}, get),
    cast: { ...castOf(server.pki), ...options.cast },
    ...({ level: 'connection', tls: 'TLSv1.3', http: 'h2', pause: 0, maximumConnections: 20 } as const),
    ...options.stage,
  }
  const [finding] = (await runLab(find(id), stage)).findings
  return `${finding?.outcome}: ${finding?.evidence}`
}

t.test('skips scenarios that cannot run, and names the reason', async t => {
  const server = await startTestServer() // without refresh tokens and token exchange
  t.teardown(() => server.close())
  for (const id of ofRefreshTokens) t.equal(await play(server, id), 'not tried: no refresh token was issued', id)
  for (const id of ofConfirmations) t.equal(await play(server, id), "not tried: the issuer's key is not available", id)
  for (const id of ofPaseto)
    t.equal(await play(server, id), "not tried: the issuer's keys for PASETO and for EdDSA are not available", id)
  for (const id of ofProofs)
    t.equal(await play(server, id), 'not tried: a token at level connection needs no proof', id)
  t.equal(await play(server, 'expired-token'), 'not tried: the scenario would have to wait 301 s')
  t.match(
    await play(server, 'exchanged-token'),
    /^not tried: the control failed: .*unauthorized_client|grant_type_not_allowed/,
  )
  const alone = { bob: undefined, mallory: undefined, stranger: undefined }
  t.equal(await play(server, 'exchanged-token', { cast: alone }), 'not tried: there is no second registered client')
  for (const id of ['two-authorization-headers', 'changed-claims', 'forged-certificate-headers'])
    t.match(await play(server, id, { cast: alone, stage: { level: 'certificate' } }), /^passed: /, `${id}, alice alone`)
  t.match(
    await play(server, 'garbage-token', { stage: { maximumConnections: 0 } }),
    /^not tried: the scenario needs more than 0/,
  )
  t.match(
    await play(server, 'garbage-token', { cast: { alice: castOf(server.pki).mallory as Cast['alice'] } }),
    /^not tried: no token was issued: 401/,
  )
})

t.test('skips changes of opaque tokens, and runs the other scenarios with them', async t => {
  const opaque = labClients.map(client => ({ ...client, access_token_format: 'opaque' }))
  const server = await startTestServer({ clients: opaque })
  t.teardown(() => server.close())
  const wait = async (seconds: number) => {
    server.clock += seconds
  }
  for (const id of ofClaims) t.match(await play(server, id), /^not tried: the tokens of the server are not JWTs/, id)
  for (const id of [...ofRequests, ...ofRefreshTokens, 'revoked-token', 'exchanged-token'])
    t.match(await play(server, id, { stage: { wait } }), /^passed: /, id)
})

t.test('changes PASETO of the client without the keys of the issuer, and signs forgeries with them', async t => {
  const [signingKey, pasetoKeys] = [await generateTokenKey('ES256'), await makePasetoKeys()]
  const clients = labClients.map(client => ({ ...client, access_token_format: 'paseto' }))
  const server = await startTestServer({ clients, signingKeys: [signingKey, ...Object.values(pasetoKeys)] })
  t.teardown(() => server.close())
  for (const id of ofClaims) t.match(await play(server, id), /^not tried: the tokens of the server are not JWTs/, id)
  for (const id of ['paseto-local', 'paseto-other-footer']) t.match(await play(server, id), /^passed: /, id)
  const { signPaseto } = castOf(server.pki, undefined, pasetoKeys)
  for (const id of ofPaseto) t.match(await play(server, id, { cast: { signPaseto } }), /^passed: /, id)
  for (const id of [...ofRequests, 'revoked-token', 'exchanged-token'])
    t.match(await play(server, id, { stage: { wait: async () => {} } }), /^passed: /, id)
})

t.test('runs every possible scenario against a server with certificate-bound tokens only', async t => {
  const clients = labClients.map(client => ({ ...client, token_bindings: ['certificate'] }))
  const server = await startTestServer({ clients, routes: app => void app.get('/same', async () => 'hello') })
  t.teardown(() => server.close())
  const profile = { name: 'rfc8705', tokenEndpoint: '/oauth/token', resource: '/api/whoami' } as const
  const stage = { level: 'certificate' } as const
  t.match(await play(server, 'token-in-query', { profile, stage }), /^passed: /)
  t.match(await play(server, 'exchanged-token', { profile, stage }), /^not tried: RFC 8693 lets the server decide/)
  const unknown = { profile, stage, get: async () => ({ status: 404, headers: {}, text: '', body: undefined }) }
  t.equal(await play(server, 'revoked-token', unknown), 'not tried: the server has no revocation endpoint')
  t.match(await play(server, 'symmetric-signature', unknown), /^not tried: the metadata of the server has no jwks_uri/)

  t.match(await play(server, 'two-authorization-headers', { profile, stage }), /^passed: 6 refused/)
  const alike = { profile: { ...profile, resource: '/same' }, stage }
  t.match(
    await play(server, 'two-authorization-headers', alike),
    /^passed: 4 refused/,
    'the responses do not show which client the server identified',
  )
})
