// Why a subject token is not exchanged: each detail, caused over real TLS, with the facts in its event.
// RFC 8693 §2.1, RFC 8725 §3.
import t from 'tap'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { issueCertificate, startTestServer } from '../../src/testing/server.ts'
import { type Provocation, provokeEach } from '../helpers/server/details.ts'
import { encode, thumbprint, withSignature } from '../helpers/tokens/forge-token.ts'
import { register } from '../helpers/tokens/grants.ts'
import {
  exchange,
  exchangeGrant,
  give,
  idp,
  makeIssuer,
  outsideAudience,
  startKeyServer,
  tokenType,
  trust,
} from '../helpers/tokens/outside-issuer.ts'

const [one, two, unlisted] = [await makeIssuer(), await makeIssuer('outside-2'), await makeIssuer('unlisted')]
const rsa = await makeIssuer('rsa', 'RS256')
const { y: _, ...cut } = (await makeIssuer('cut')).publicJwk
const grants = { grant_types: ['client_credentials', exchangeGrant] }
const { tls_client_auth_subject_dn: __, ...named } = register('named', grants)
const pki = makeDemoPki()
const remote = 'https://remote.example'
const profiled = 'https://profiled.example'
const keyServer = await startKeyServer(t, pki, give(one.publicJwk, cut))
const entry = { audience: outsideAudience, algorithms: ['ES256'], maximum_age: 600 }
const server = await startTestServer({
  pki,
  env: trust(
    t.testdir(),
    [
      { ...entry, issuer: idp, jwks_file: 'idp.json', subject_prefix: 'idp:' },
      { ...entry, issuer: remote, jwks_uri: keyServer.uri, ca_file: 'ca.pem', subject_prefix: 'remote:' },
      { ...entry, issuer: profiled, jwks_file: 'idp.json', subject_prefix: 'profiled:', profile: 'keycloak' },
    ],
    { 'idp.json': { keys: [one.publicJwk, two.publicJwk, rsa.publicJwk] }, 'ca.pem': pki.ca.certificate },
  ),
  clients: [
    register('alice', grants),
    register('bob', grants),
    register('idp:bob'),
    { ...named, tls_client_auth_san_dns: 'alice.example' },
  ],
})
t.teardown(() => server.close())
const alice = await server.connect('alice')
const { clock } = server
const sign = (claims: object = {}, header: object = {}) => one.sign(clock, claims, header)
const ask =
  (token: string | Promise<string>, connection = alice, parameters = {}) =>
  async () =>
    exchange(connection, await token, parameters)
const row = (token: string | Promise<string>, facts?: Provocation['facts']): Provocation => ({
  send: ask(token),
  status: 400,
  ...(facts && { facts }),
})

const withOtherSignature = (token: string) => {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return withSignature(token, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`)
}

t.test('subject_token_invalid: reports each detail with what was found', async t => {
  const good = await sign()
  const [header, claims, signature] = good.split('.') as [string, string, string]
  t.match(await ask(good)(), { status: 200 }, 'control')
  const mine = await alice.token({ token_binding: 'certificate' })
  const bound = await alice.token()
  const bob = await server.connect('bob')
  const second = await server.connect('alice')
  const both = issueCertificate({
    issuer: server.pki.ca,
    subject: [['CN', 'alice']],
    altNames: [{ dns: 'alice.example' }],
    extendedKeyUsage: ['clientAuth'],
  })
  const shared = await server.connect(both, { clientId: 'named' })
  const issuedToAlice = await shared.token({ client_id: 'alice', token_binding: 'certificate' })
  const own = thumbprint(server.pki.alice.x509.raw)
  await provokeEach(t, server, 'subject_token_invalid', {
    too_long: row('a'.repeat(8193), { found: 8193, limit: 8192 }),
    not_jws: [
      row('opaque', { found: 'one segment' }),
      row(`${good}.a.b`, { found: '5 segments' }),
      row(`${header}.${encode(`{"a":${'['.repeat(2500)}${']'.repeat(2500)}}`)}.${signature}`, {
        found: 'claims that are nested more than 100 deep',
      }),
      row(one.signText(Buffer.from(JSON.stringify({ iss: idp, sub: 'x' }).replace('x', '\xe9'), 'latin1')), {
        found: 'claims that are not a JSON object in UTF-8',
      }),
      row(`${header}.${encode('[]')}.${signature}`, { found: 'claims that are not a JSON object in UTF-8' }),
      row(`${encode('[]')}.${claims}.${signature}`, { issuer: idp, found: 'a header that is not a JSON object' }),
      row(`${good}=`, { issuer: idp, found: 'a segment that is not base64url' }),
    ],
    not_trusted: [
      row(sign({ iss: `${idp}/` }), { issuer: `${idp}/` }),
      row(sign({ iss: undefined }), { issuer: 'absent' }),
    ],
    wrong_algorithm: row(rsa.sign(clock), { issuer: idp, alg: 'RS256', expected: 'ES256' }),
    header_member: [
      row(`${encode({ alg: 'ES256', kid: 7 })}.${claims}.${signature}`, {
        issuer: idp,
        header: 'kid',
        found: 'number',
      }),
      row(`${encode({ alg: 'ES256', crit: ['x'] })}.${claims}.${signature}`, {
        issuer: idp,
        header: 'crit',
        found: 'x',
      }),
      row(`${encode({ alg: 'ES256', b64: true })}.${claims}.${signature}`, {
        issuer: idp,
        header: 'b64',
        found: 'boolean',
      }),
    ],
    unknown_key: [
      row(unlisted.sign(clock), { issuer: idp, kid: 'unlisted', alg: 'ES256' }),
      row(sign({ iss: remote }, { kid: 'cut' }), { issuer: remote, kid: 'cut', alg: 'ES256' }),
    ],
    wrong_signature: [
      row(withOtherSignature(good), { issuer: idp, kid: 'outside-1', alg: 'ES256' }),
      row(sign({ iss: remote }).then(withOtherSignature), {
        issuer: remote,
        kid: 'outside-1',
        alg: 'ES256',
        address: keyServer.uri,
        fetched: Number,
      }),
    ],
    typ: [
      row(sign({}, { typ: 'logout+jwt' }), { issuer: idp, found: 'logout+jwt', expected: tokenType('access_token') }),
      {
        ...row(good, { issuer: idp, found: 'at+jwt', expected: tokenType('id_token') }),
        send: ask(good, alice, { subject_token_type: tokenType('id_token') }),
      },
    ],
    other_token: [
      row(sign({ iss: profiled, typ: 'Refresh' }), {
        issuer: profiled,
        found: 'Refresh',
        expected: tokenType('access_token'),
      }),
      row(sign({ iss: profiled, at_hash: 'x' }), {
        issuer: profiled,
        found: 'at_hash',
        expected: tokenType('access_token'),
      }),
    ],
    claim: [
      row(sign({ sub: undefined }), { issuer: idp, claim: 'sub', found: 'absent' }),
      row(sign({ scope: 7 }), { issuer: idp, claim: 'scope', found: 'number' }),
      row(sign({ exp: clock - 9 }), { issuer: idp, claim: 'exp', found: clock - 9, expected: `after iat ${clock}` }),
    ],
    scope_elsewhere: row(sign({ scope: undefined, roles: ['admin'] }), {
      issuer: idp,
      claim: 'roles',
      expected: 'scope',
    }),
    audience: [
      row(sign({ aud: 'https://a.example' }), { issuer: idp, found: 'https://a.example', expected: outsideAudience }),
      row(sign({ aud: undefined }), { issuer: idp, found: 'no aud', expected: outsideAudience }),
      row(sign({ aud: null }), { issuer: idp, found: 'no aud', expected: outsideAudience }),
    ],
    ended: row(sign({ iat: clock - 60, exp: clock - 1 }), { issuer: idp, found: clock - 1, now: clock }),
    in_the_future: row(sign({ nbf: clock + 60 }), { issuer: idp, found: clock + 60, now: clock }),
    too_old: row(sign({ iat: clock - 601 }), { issuer: idp, found: clock - 601, limit: 600, now: clock }),
    foreign_claim: [
      row(sign({ act: { sub: 'x' } }), { issuer: idp, claim: 'act', typ: 'at+jwt' }),
      row(sign({ events: {} }, { typ: undefined }), { issuer: idp, claim: 'events', typ: 'absent' }),
    ],
    may_act: row(sign({ may_act: { sub: 'bob' } }), { issuer: idp, found: 'bob', expected: 'alice' }),
    confirmation: [
      row(sign({ cnf: { jkt: 'x' } }), {
        issuer: idp,
        reason: 'confirmation_malformed',
        detail: 'cnf_malformed',
        found: 'object',
        expected: own,
      }),
      row(sign({ cnf: { 'x5t#S256': 'A'.repeat(43) } }), {
        issuer: idp,
        reason: 'certificate_mismatch',
        detail: 'other_certificate',
        found: 'A'.repeat(43),
        expected: own,
      }),
    ],
    names_a_client: row(sign({ sub: 'bob' }), { issuer: idp, found: 'idp:bob' }),
    other_certificate: { send: ask(mine, bob, { client_id: 'bob' }), status: 400 },
    other_connection: { send: ask(bound, second), status: 400 },
    other_client: { send: ask(issuedToAlice, shared), status: 400, facts: { found: 'alice', expected: 'named' } },
    own_token: [
      row(`${mine.slice(0, -4)}AAAA`, {
        reason: 'bad_signature',
        detail: /^(wrong_signature|high_s)$/,
        kid: String,
        alg: 'ES256',
      }),
    ],
  })
  t.match(await ask(sign({}, { kid: undefined }))(), { status: 200 }, 'control: all keys are tried')
  t.match(await ask(sign({ cnf: { 'x5t#S256': own }, may_act: { sub: 'alice' } }))(), { status: 200 }, 'control')
  t.match(await ask(good, alice, { subject_token_type: tokenType('jwt') })(), { status: 200 }, 'control')
  const fresh = await alice.token({ token_binding: 'certificate' })
  t.match(await ask(fresh, second)(), { status: 200 }, 'control: a token of this server')
})
