// Why a token is refused: each detail of each such reason, caused over real TLS, with the facts in its event. RFC 9068 §4,
// RFC 7800 §3.1, binding-proof draft §2.3.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { hashToken } from '../../src/core/binding-proof.ts'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import { reach } from '../../src/core/revocations.ts'
import { generateTokenKey } from '../../src/keys/token-keys.ts'
import { type Answer, issueCertificate, startTestServer } from '../../src/testing/server.ts'
import { connectionOf } from '../../src/tls/connection.ts'
import { type Provocations, provoke, provokeEach } from '../helpers/server/details.ts'
import { at, callOps } from '../helpers/server/ops.ts'
import { fieldOf, through, thumbprintOf } from '../helpers/server/proxies.ts'
import { forgePaseto, type PasetoForgery } from '../helpers/tokens/forge-paseto.ts'
import {
  claimsFor,
  confirmationOf,
  encode,
  forgeToken,
  headerOf,
  issuer,
  signatureOf,
  withOtherS,
  withSignature,
} from '../helpers/tokens/forge-token.ts'
import { claimsOf, register } from '../helpers/tokens/grants.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(120_000)
const jwk = await generateTokenKey('ES256')
const stranger = await generateTokenKey('ES256')
const rsa = await generateTokenKey('RS256')
const ed = await generateTokenKey('v4.public')
const edge = issueCertificate({ subject: [['CN', 'edge']], extendedKeyUsage: ['clientAuth'] })
const server = await startTestServer({
  ops: true,
  tls: { clientCertFrom: [{ form: 'client-cert', 'x5t#S256': thumbprintOf(edge) }] },
  signingKeys: [jwk, rsa, ed],
  clients: [register('alice', { token_bindings: ['connection', 'certificate', 'proof'] }), register('bob')],
  env: { TLSBOUND_TLS_MIN_VERSION: 'TLSv1.2' },
  routes: app => {
    app.get('/strong', { config: { requireToken: { binding: 'connection' } } }, () => 'strong')
    app.get('/admin', { config: { requireToken: { scope: 'admin' } } }, () => 'admin')
    app.get('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone')
  },
})
t.teardown(() => server.close())
const sockets: TLSSocket[] = []
server.app.server.on('secureConnection', (socket: TLSSocket) => void sockets.push(socket))
const whoami = '/api/whoami'
const proxy = await server.connect(edge)
const behindProxy = through(proxy, { 'client-cert': fieldOf['client-cert'](server.pki.alice) })
const alice = await server.connect('alice')
const good = claimsFor(alice, server)
const forge = (claims: object = {}, header: object = {}, key = jwk) =>
  forgeToken({ jwk: key, header: { ...headerOf(key), ...header }, claims: { ...good, ...claims } })
const use = (token: string, connection = alice, path = whoami) => connection.get(path, token)
const withHeader = (authorization?: string) =>
  alice.call(whoami, authorization === undefined ? {} : { headers: { authorization } })
const served = { status: 200, body: { client_id: 'alice' } }
const token = forge()
/** SSL_OP_NO_EXTENDED_MASTER_SECRET, which Node does not name. */
const noExtendedMasterSecret = 1
const large = issueCertificate({
  issuer: server.pki.ca,
  subject: [['CN', 'alice']],
  keyPair: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  extendedKeyUsage: ['clientAuth'],
})

t.test('control: accepts the tokens of this file without their one change', async t => {
  t.match(await use(token), served)
  t.match(await use(forge({}, {}, rsa)), served)
  t.match(await use(forge({ cnf: { 'x5t#S256': good.cnf['x5t#S256'] } })), served)
})

t.test('no_token: reports each detail', t =>
  provokeEach(t, server, 'no_token', {
    authorization_missing: { send: () => withHeader() },
    scheme_not_bearer: [
      { send: () => withHeader(`DPoP ${token}`), facts: { found: 'DPoP' } },
      { send: () => withHeader('Basic YWxpY2U6eA=='), facts: { found: 'Basic' } },
      { send: () => withHeader(token), facts: { found: 'one word without a scheme' } },
      { send: () => withHeader(''), facts: { found: 'an empty value' } },
      {
        send: () => withHeader(buildOpaqueToken('at', Buffer.alloc(32, 7))),
        facts: { found: 'one word without a scheme' },
      },
      { send: () => withHeader(`${buildOpaqueToken('at', Buffer.alloc(32, 7))} x`) },
    ],
  }),
)

t.test('bad_signature: reports each detail with what was found', async t => {
  const [header, claims, signature] = token.split('.') as [string, string, string]
  const highS = withSignature(token, withOtherS(signatureOf(token)))
  const paseto = (more: Partial<PasetoForgery> = {}) => forgePaseto({ jwk: ed, claims: good, ...more })
  t.match(await use(paseto()), served, 'control: a PASETO without a change')
  const rows: Provocations<'bad_signature'> = {
    too_long: { send: () => use('a'.repeat(4097)), facts: { found: 4097, limit: 4096 } },
    not_jws: [
      { send: () => use('opaque'), facts: { found: 'one segment' } },
      { send: () => use(`${header}.${claims}.${signature}.a.b`), facts: { found: '5 segments' } },
      { send: () => use(`${header}.${claims}.${signature}=`), facts: { found: 'a segment that is not base64url' } },
      {
        send: () => use(`${encode({ ...headerOf(jwk), alg: 'none' })}.${claims}.`),
        facts: { found: 'an empty signature' },
      },
      {
        send: () => use(`${encode('[]')}.${claims}.${signature}`),
        facts: { found: 'a header that is not a JSON object' },
      },
    ],
    header_member: [
      { send: () => use(forge({}, { alg: undefined })), facts: { header: 'alg', found: 'absent' } },
      { send: () => use(forge({}, { kid: 7 })), facts: { header: 'kid', found: 'number' } },
      { send: () => use(forge({}, { jku: 'https://evil.example' })), facts: { header: 'jku' } },
    ],
    unknown_key: { send: () => use(forge({}, {}, stranger)), facts: { kid: stranger.kid, alg: 'ES256' } },
    wrong_algorithm: {
      send: () => use(forge({}, { alg: 'RS256' })),
      facts: { kid: jwk.kid, alg: 'RS256', expected: 'ES256' },
    },
    high_s: { send: () => use(highS), facts: { kid: jwk.kid, alg: 'ES256' } },
    wrong_signature: [
      { send: () => use(forge({}, { kid: jwk.kid }, stranger)), facts: { kid: jwk.kid, alg: 'ES256' } },
      { send: () => use(withSignature(token, inDer(signatureOf(token)))), facts: { kid: jwk.kid, alg: 'ES256' } },
    ],
    paseto_version: [
      { send: () => use('v4.local.AAAA'), facts: { found: 'v4.local', expected: 'v4.public' } },
      { send: () => use(paseto({ header: 'v2.public.' })), facts: { found: 'v2.public', expected: 'v4.public' } },
    ],
    not_paseto: [
      { send: () => use('v4.public.'), facts: { found: 'a payload that is not base64url' } },
      { send: () => use(`${paseto()}.AA`), facts: { found: '5 segments' } },
      { send: () => use(`v4.public.${encode(Buffer.alloc(64))}`), facts: { found: 'a payload without claims' } },
      {
        send: () => use(paseto({ claims: '{"iss":"a","iss":"b"}' })),
        facts: { found: 'claims that are not a JSON object in UTF-8 with unique names' },
      },
    ],
    footer: [
      { send: () => use(paseto({ footer: null })), facts: { found: 'absent' } },
      { send: () => use(paseto({ footer: 'x'.repeat(2000) })), facts: { found: 2667, limit: 100 } },
      { send: () => use(`${paseto()}=`), facts: { found: 'a segment that is not base64url' } },
      { send: () => use(paseto({ footer: `{"kid": "${ed.kid}"}` })), facts: { found: 'another content' } },
    ],
    not_stored: { send: () => use(buildOpaqueToken('at', randomBytes(32))) },
    ops_token: { send: () => callOps(server, 'GET', '/admin/clients', { headers: { authorization: 'Bearer x' } }) },
  }
  await provokeEach(t, server, 'bad_signature', rows)
  t.match(await use(token), served, 'the same token with the lower s')
})

t.test('claims: reports each detail with the claim', async t => {
  const { clock } = server
  // test/verify/issuer-profiles.test.ts covers the other detail, for external issuers.
  for (const [typ, found] of [
    ['JWT', 'JWT'],
    [undefined, 'absent'],
  ])
    await provoke(t, server, 'wrong_type', 'typ', { send: () => use(forge({}, { typ })), facts: { found } })
  await provokeEach(t, server, 'wrong_issuer', {
    iss: {
      send: () => use(forge({ iss: 'https://a.example' })),
      facts: { found: 'https://a.example', expected: issuer },
    },
  })
  await provokeEach(t, server, 'wrong_audience', {
    aud: [
      { send: () => use(forge({ aud: ['x', 'y'] })), facts: { found: 'x y', expected: issuer } },
      { send: () => use(forge({ aud: undefined })), facts: { found: 'no aud', expected: issuer } },
      { send: () => use(forge({ aud: null })), facts: { found: 'no aud', expected: issuer } },
    ],
  })
  await provokeEach(t, server, 'not_yet_valid', {
    in_the_future: { send: () => use(forge({ nbf: clock + 60 })), facts: { found: clock + 60, now: clock } },
  })
  await provokeEach(t, server, 'expired', {
    ended: {
      send: () => use(forge({ iat: clock - 60, exp: clock - 1 })),
      facts: { found: clock - 1, now: clock },
    },
  })
  await provokeEach(t, server, 'claims_malformed', {
    claim: [
      { send: () => use(forge({ sub: undefined })), facts: { claim: 'sub', found: 'absent' } },
      { send: () => use(forge({ scope: ['notes:read'] })), facts: { claim: 'scope', found: 'notes:read' } },
      { send: () => use(forge({ exp: null })), facts: { claim: 'exp', found: 'null' } },
    ],
    lifetime: { send: () => use(forge({ exp: clock + 90_000 })), facts: { found: 90_000, limit: 86_400 } },
  })
  await provokeEach(t, server, 'confirmation_malformed', {
    cnf_missing: {
      send: async () => {
        const answer = await use(forge({ cnf: undefined }))
        t.notOk('came_with' in server.events.at(-1), 'a token that is bound to no certificate has none to compare')
        return answer
      },
    },
    cnf_malformed: { send: () => use(forge({ cnf: { jkt: 'x' } })), facts: { found: 'object' } },
    cnf_member: [
      {
        send: () => use(forge({ cnf: { ...good.cnf, jkt: 'x' } })),
        facts: { member: 'jkt', found: 'x' },
      },
      { send: () => use(forge({ cnf: { 'x5t#S256': 7 } })), facts: { member: 'x5t#S256', found: 'number' } },
    ],
  })
  t.match(await use(forge({ nbf: clock + 10, exp: clock + 86_400, aud: ['x', issuer] })), served, 'at the limits')
})

t.test('issuer, audience and binding: reports each detail', async t => {
  const second = await server.connect('alice')
  const bob = await server.connect('bob')
  const certificate = await alice.token({ token_binding: 'certificate' })
  const scope = { scope: 'notes:read', token_binding: 'certificate' }
  const [narrow, strong] = [await alice.token(scope), await alice.token()]
  await provokeEach(t, server, 'connection_mismatch', {
    other_connection: { send: () => use(strong, second) },
    attested: { send: () => behindProxy.get(whoami, strong) },
  })
  await provokeEach(t, server, 'certificate_mismatch', { other_certificate: { send: () => use(certificate, bob) } })
  t.match(
    server.events.at(-1),
    { client_id: 'alice', bound_to: good.cnf['x5t#S256'], 'x5t#S256': confirmationOf(bob)['x5t#S256'] },
    'the event names both certificates',
  )
  await provokeEach(t, server, 'binding_too_weak', {
    level: {
      send: () => use(certificate, alice, '/strong'),
      facts: { found: 'certificate', expected: 'connection' },
    },
  })
  await provokeEach(t, server, 'scope_missing', {
    scope: { send: () => use(narrow, alice, '/admin'), status: 403, facts: { found: 'notes:read', expected: 'admin' } },
  })
  t.match(await use(certificate, second), served)
  t.match(await use(strong, alice, '/strong'), { status: 200 })
})

t.test('proof_missing and proof_invalid: reports each detail with what was found', async t => {
  const bound = await alice.token({ token_binding: 'proof' })
  const other = await alice.token({ token_binding: 'proof' })
  const second = await server.connect('alice')
  const bob = await server.connect('bob')
  const prove = (proof: string, path = whoami) => ({ send: () => alice.get(path, bound, proof) })
  const changed = (claims: object, path?: string) => prove(alice.prove(bound, claims), path)
  const full = { htm: 'GET', htu: '/alone' }
  const alone = (jti: string) => changed({ ...full, jti }, '/alone')
  const proof = alice.prove(bound)
  const [, , signature] = proof.split('.') as [string, string, string]
  await provokeEach(t, server, 'proof_missing', {
    header_missing: { send: () => use(bound), facts: { header: 'Session-Binding-Proof' } },
  })
  const { clock } = server
  t.match(await alone('used').send(), { status: 200 }, 'control')
  const reusedId = alone('used')
  await provokeEach(t, server, 'proof_invalid', {
    form: { ...prove('a.b'), facts: { found: '2 segments, 3 characters', limit: 4096 } },
    header: [
      { ...prove(withPart(proof, 0, { typ: 'JWT' })), facts: { header: 'typ', found: 'JWT' } },
      { ...prove(withPart(proof, 0, { alg: 'none' })), facts: { header: 'alg', found: 'none' } },
      { ...prove(withPart(proof, 0, { jwk: {} })), facts: { header: 'jwk' } },
      {
        ...prove(bob.prove(bound)),
        facts: {
          header: 'x5t#S256',
          found: confirmationOf(bob)['x5t#S256'],
          expected: confirmationOf(alice)['x5t#S256'],
        },
      },
    ],
    claim: [
      { ...changed({ ath: undefined }), facts: { claim: 'ath', found: 'absent' } },
      { ...changed({ iat: 'now' }), facts: { claim: 'iat', found: 'now' } },
      { ...changed({ nonce: ['x'] }), facts: { claim: 'nonce', found: 'x' } },
      { ...prove(withPart(proof, 1, undefined)), facts: { found: 'no JSON object' } },
    ],
    other_connection: prove(second.prove(bound)),
    other_token: {
      ...prove(alice.prove(other)),
      facts: { found: hashToken(other), expected: hashToken(bound) },
    },
    outside_window: [
      { ...changed({ iat: clock - 61 }), facts: { found: clock - 61, now: clock } },
      { ...changed({ iat: clock + 6 }), facts: { found: clock + 6, now: clock } },
    ],
    other_request: [
      { ...changed({ htm: 'POST' }), facts: { claim: 'htm', found: 'POST', expected: 'GET' } },
      {
        ...changed({ htu: 'https://localhost/api/notes' }),
        facts: { claim: 'htu', found: '/api/notes', expected: whoami },
      },
    ],
    wrong_signature: {
      ...prove(withSignature(proof, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`)),
      facts: { alg: 'ES256' },
    },
    not_per_request: {
      ...changed({ jti: 'new' }, '/alone'),
      facts: { found: 'ath ekm iat jti', expected: 'jti htm htu' },
    },
    used_already: reusedId,
    too_many: { send: () => floodWithProofs(bound), facts: { limit: 16_384 } },
  })
  t.match(
    await second.get(whoami, bound, second.prove(bound)),
    served,
    'the token on another connection, with a proof for it',
  )
})

t.test('no_certificate and binding_unavailable: reports each detail', async t => {
  const nobody = await server.connect(null)
  const inject = async (url: string) => {
    const {
      statusCode: status,
      headers,
      payload: text,
    } = await server.app.inject({
      url,
      headers: { authorization: `Bearer ${token}` },
    })
    return { status, headers, text, body: JSON.parse(text) } as Answer
  }
  const { certificate: cert, key } = server.pki.server
  const plain = (path: string) => () => throughListener(http.createServer(), path)
  const foreignTls = (path: string) => () => throughListener(https.createServer({ cert, key }), path)
  await provokeEach(t, server, 'no_certificate', {
    not_sent: { send: () => nobody.get(whoami, token) },
    not_forwarded: { send: () => proxy.get(whoami, token), facts: { header: 'client-cert' } },
    not_mutual_tls: [
      { send: () => inject(whoami), facts: { found: 'no socket, as by inject' } },
      { send: plain(whoami), facts: { found: 'plain HTTP' } },
    ],
  })
  const alarms = server.alarms.length
  const whole = await alice.token({ token_binding: 'certificate' })
  await throughListener(http.createServer(), whoami, whole)
  t.match(server.events.at(-1), { detail: 'not_mutual_tls', client_id: 'alice', jti: claimsOf(whole).jti })
  t.notOk('came_with' in server.events.at(-1), 'a certificate that the server cannot see is not compared')
  await nobody.get(whoami, whole)
  t.match(server.events.at(-1), { detail: 'not_sent', client_id: 'alice', came_with: 'no_certificate' }, 'control')
  await until(() => server.alarms.length > alarms)
  t.match(server.alarms.slice(alarms), [{ detail: 'not_sent', suspicion: 'certain' }], 'only the control is a theft')
  const weak = await server.connect('alice', { maxVersion: 'TLSv1.2', secureOptions: noExtendedMasterSecret })
  await provokeEach(t, server, 'binding_unavailable', {
    attested: {
      send: () => behindProxy.requestToken({ client_id: 'alice' }),
      status: 400,
      facts: { token_binding: 'connection' },
    },
    no_channel_binding: {
      send: () => weak.requestToken({ token_binding: 'connection' }),
      status: 400,
      facts: { token_binding: 'connection' },
    },
    no_proof_algorithm: {
      send: async () => (await server.connect(large)).requestToken({ token_binding: 'proof' }),
      status: 400,
      facts: { token_binding: 'proof', found: 'ec secp521r1', expected: /^P-256/ },
    },
    not_mutual_tls: [
      { send: () => inject('/binding'), status: 400, facts: { found: 'no socket, as by inject' } },
      { send: plain('/binding'), status: 400, facts: { found: 'plain HTTP' } },
      { send: foreignTls('/binding'), status: 400, facts: { found: 'TLS without mutualTls' } },
    ],
  })
  const strong = await server.connect('alice', { maxVersion: 'TLSv1.2' })
  t.match(await strong.requestToken({ token_binding: 'connection' }), { status: 200 }, 'control')
})

t.test('revoked: reports each detail', async t => {
  const revoke = async (kind: string, value?: string) =>
    t.match(await callOps(server, 'POST', '/admin/revocations', { body: { kind, value } }), { status: 201 }, kind)
  const [first, second, third] = [await alice.token(), await alice.token(), await alice.token()]
  await revoke('token', claimsOf(first).jti)
  await revoke('grant', claimsOf(second).grant)
  await provoke(t, server, 'revoked', 'token', { send: () => use(first) })
  await provoke(t, server, 'revoked', 'grant', { send: () => use(second) })
  t.match(await use(third), served, 'control')
  const kinds = [['client', 'alice'], ['certificate', good.cnf['x5t#S256']], ['all']] as const
  for (const [kind, value] of kinds) {
    const before = await alice.token()
    t.match(await use(before), served, 'control')
    await revoke(kind, value)
    const { iat } = claimsOf(before)
    const facts = { found: iat, mark: server.clock + reach }
    await provoke(t, server, 'revoked', kind, { send: () => use(before), facts })
    server.clock += 1
  }
  const last = await alice.token()
  await callOps(server, 'POST', at('alice', '/disable'))
  await provoke(t, server, 'revoked', 'client_disabled', { send: () => use(last) })
  await callOps(server, 'POST', at('alice', '/enable'))
  const mark = { found: claimsOf(last).iat, mark: Number }
  await provoke(t, server, 'revoked', 'client', { send: () => use(last), facts: mark })
  server.clock += 1
  const fresh = await alice.token()
  t.match(await use(fresh), served, 'control')
  const removed = server.keys.all.find(key => key.kid === decodeHeader(fresh).kid)
  server.keys.replace(
    server.keys.all.filter(key => key !== removed),
    server.clock,
  )
  await provoke(t, server, 'revoked', 'key_removed', { send: () => use(fresh), facts: { kid: removed?.kid } })
})

/** Sends a request to another listener, which hands its requests to the server, as in a program that embeds it. */
async function throughListener(listener: http.Server | https.Server, path: string, sent = token): Promise<Answer> {
  listener.on('request', (raw, response) => server.app.routing(raw, response))
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const { port } = listener.address() as AddressInfo
  const headers = { authorization: `Bearer ${sent}`, host: `localhost:${server.port}`, connection: 'close' }
  const { get } = listener instanceof https.Server ? https : http
  const options = { port, host: '127.0.0.1', path, headers, servername: 'localhost', ca: server.pki.ca.certificate }
  const [response] = (await once(get(options), 'response')) as [http.IncomingMessage]
  const text = Buffer.concat(await response.toArray()).toString()
  listener.close()
  return { status: response.statusCode, headers: response.headers, text, body: JSON.parse(text) } as Answer
}

/** Encodes an ECDSA signature on P-256 in DER, as libraries outside JOSE do. */
function inDer(signature: Buffer): string {
  const numbers = [signature.subarray(0, 32), signature.subarray(32)].map(number => {
    const bytes = (number[0] as number) < 0x80 ? number : Buffer.concat([Buffer.of(0), number])
    return Buffer.concat([Buffer.of(2, bytes.length), bytes])
  })
  const content = Buffer.concat(numbers)
  return Buffer.concat([Buffer.of(0x30, content.length), content]).toString('base64url')
}

/** Replaces the header or the claims of a proof, which invalidates its signature. */
function withPart(proof: string, at: 0 | 1, changes: object | undefined): string {
  const parts = proof.split('.')
  const before = JSON.parse(Buffer.from(parts[at] as string, 'base64url').toString())
  return parts.with(at, encode(changes === undefined ? [] : { ...before, ...changes })).join('.')
}

function decodeHeader(token: string): { kid: string } {
  return JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
}

/** Adds the maximum number of ids to a connection's memory, and one more over TLS. */
async function floodWithProofs(bound: string): Promise<Answer> {
  const socket = sockets.find(({ remotePort }) => remotePort === alice.socket.localPort)
  const used = connectionOf(socket)?.usedProofs as Map<string, number>
  const before = [...used.keys()]
  while (used.size < 16_384) used.set(`id ${used.size}`, server.clock)
  const proof = alice.prove(bound, { jti: 'one more', htm: 'GET', htu: '/alone' })
  const answer = await alice.get('/alone', bound, proof)
  for (const id of used.keys()) if (!before.includes(id)) used.delete(id)
  return answer
}
