// Level proof in every use of a token: opaque tokens, introspection, refresh, exchange, revocation. N-58, N-60, N-61; draft
// §3.2, §3.4, §4.5; RFC 8693; CB20, CL13, I1. No step weakens a token.
import t, { type Test } from 'tap'
import { type Identity, issueCertificate, startTestServer, type TestConnection } from '../../../src/testing/server.ts'
import { refusal } from '../../helpers/server/refusals.ts'
import { proofLabel } from '../../helpers/tokens/forge-proof.ts'
import { claimsOf, introspect, refresh, register, revoke, startGrant } from '../../helpers/tokens/grants.ts'
import { exchangeGrant, tokenType } from '../../helpers/tokens/outside-issuer.ts'
import { traceProofs } from '../../helpers/tokens/proof-traces.ts'

const audience = 'https://localhost:8443'
const grant_types = ['client_credentials', 'refresh_token', exchangeGrant]
const every = { token_bindings: ['certificate', 'proof', 'connection'], grant_types }
const clients = [
  register('alice', every),
  register('bob', { ...every, access_token_format: 'opaque' }),
  register('strict', { token_bindings: undefined, tls_session_bound_access_tokens: true, grant_types }),
  register('api', { resource: audience }),
]
const server = await startTestServer({
  clients,
  routes: app => void app.get('/alone', { config: { requireToken: { proof: 'per-request' } } }, () => 'alone'),
})
t.teardown(() => server.close())
const identities = new Map(
  ['alice', 'bob', 'strict', 'api'].map(name => [
    name,
    issueCertificate({ subject: [['CN', name]], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] }),
  ]),
)
const as = (name: string, protocol = 'http/1.1') =>
  server.connect(identities.get(name) as Identity, { clientId: name, ALPNProtocols: [protocol] })

const whoami = '/api/whoami'
const proof = { token_binding: 'proof' }
const good = { status: 200, body: { token_binding: 'proof' } }
const invalid = refusal('proof_invalid', 'invalid_proof')
const missing = refusal('proof_missing', 'use_session_binding')
const notAllowed = { status: 400, body: { error: 'invalid_request', reason: 'binding_not_allowed' } }
const { prove, expectNone } = traceProofs()

/** Checks that a token is accepted only with a proof for this connection. */
async function expectProven(t: Test, connection: TestConnection, token: string, name: string): Promise<void> {
  t.match(await connection.get(whoami, token), missing, `${name}: without a proof`)
  t.match(await connection.get(whoami, token, prove(connection, 'another')), invalid, `${name}: with another one`)
  t.match(await connection.get(whoami, token, prove(connection, token)), good, `${name}: with its own`)
}

t.test('requires a proof for an opaque token on each connection', async t => {
  for (const protocol of ['http/1.1', 'h2']) {
    const victim = await as('bob', protocol)
    const token = await victim.token(proof)
    t.match(token, /^tlsbound_at_/)
    await expectProven(t, victim, token, 'where it was issued')
    const again = await as('bob', protocol)
    t.match(await again.get(whoami, token, prove(victim, token)), invalid, 'stolen with its proof')
    await expectProven(t, again, token, 'elsewhere')
    const thief = await as('alice', protocol)
    t.match(await thief.get(whoami, token, prove(victim, token)), refusal('certificate_mismatch'))
    t.match(await thief.get(whoami, token, prove(thief, token)), refusal('certificate_mismatch'))
  }
})

t.test('reports in introspection that a proof is needed, and the key for it (N-60)', async t => {
  const api = await as('api')
  for (const name of ['alice', 'bob']) {
    const connection = await as(name)
    const token = await connection.token(proof)
    const x5t = (await connection.get('/binding')).body.certificate['x5t#S256']
    const { body } = await introspect(api, token)
    t.same(
      { active: body.active, cnf: body.cnf },
      { active: true, cnf: { 'x5t#S256': x5t, tls_exp: proofLabel } },
      name,
    )
  }
})

t.test('keeps the level of a grant in a refresh, and requires a proof for the new token', async t => {
  for (const name of ['alice', 'bob', 'strict']) {
    const first = await as(name)
    const grant = await startGrant(first, proof)
    const old = prove(first, grant.access)
    t.match(await first.get(whoami, grant.access, old), good, name)
    const again = await as(name, 'h2')
    const { status, body } = await refresh(again, grant.refresh)
    t.match({ status, body }, good, name)
    t.match(
      await again.get(whoami, body.access_token, prove(again, grant.access)),
      invalid,
      'the proof of the old token',
    )
    t.match(await again.get(whoami, body.access_token, old), invalid)
    await expectProven(t, again, body.access_token, name)
    t.match(await first.get(whoami, grant.access, old), good, 'the old token stays valid')
  }
})

t.test('issues no other tokens to a client of tls_session_bound_access_tokens, whatever it omits (N-61)', async t => {
  const strict = await as('strict')
  for (const wish of [{}, proof]) {
    const { access, refresh: refreshToken } = await startGrant(strict, wish)
    t.same(Object.keys(claimsOf(access).cnf), ['x5t#S256', 'tls_exp'])
    for (const token_binding of ['certificate', 'connection', 'none', 'Proof', 'certificate proof']) {
      t.match(await strict.requestToken({ token_binding }), notAllowed, token_binding)
      t.match(await refresh(strict, refreshToken, { token_binding }), notAllowed, token_binding)
    }
    t.match(await refresh(strict, refreshToken), good, 'control: nothing was used up')
  }
})

/** Requests an exchange as a client, with or without a proof in the header. */
function exchange(name: string, connection: TestConnection, token: string, proof?: string, parameters: object = {}) {
  const subject = { subject_token: token, subject_token_type: tokenType('access_token') }
  const form = { grant_type: exchangeGrant, client_id: name, ...subject, ...parameters }
  return connection.call('/oauth/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    ...(proof !== undefined && { proof }),
  })
}
const refused = { status: 400, body: { error: 'invalid_request', reason: 'subject_token_invalid' } }

t.test('requires the proof for an exchange, and never issues a weaker token (draft §4.5)', async t => {
  for (const name of ['alice', 'bob', 'strict']) {
    const [connection, other] = [await as(name), await as(name)]
    const token = await connection.token(proof)
    const signed = prove(connection, token)
    const { status, body } = await exchange(name, connection, token, signed)
    t.match(
      { status, body },
      { status: 200, body: { token_binding: 'proof', issued_token_type: tokenType('access_token') } },
    )
    await expectProven(t, connection, body.access_token, `${name}: the exchanged token`)
    t.match(await connection.get(whoami, body.access_token, signed), invalid, 'not with the proof of the subject token')

    t.match(await exchange(name, connection, token), refused, `${name}: without a proof`)
    t.match(
      await exchange(name, connection, token, prove(connection, 'another')),
      refused,
      'with a proof for another token',
    )
    t.match(await exchange(name, other, token, signed), refused, 'on another connection')
    t.match(await exchange(name, other, token, prove(other, token)), { status: 200 }, 'control')
    for (const token_binding of ['certificate', 'none'])
      t.match(await exchange(name, connection, token, signed, { token_binding }), notAllowed, token_binding)
  }
  const [alice, bob] = [await as('alice'), await as('bob')]
  const token = await alice.token(proof)
  const signed = prove(alice, token)
  t.match(await exchange('alice', alice, token, signed, { token_binding: 'connection' }), {
    status: 200,
    body: { token_binding: 'connection' },
  })
  t.match(await exchange('bob', bob, token, signed), refused, 'by another client')
  t.match(await exchange('bob', bob, token, prove(bob, token)), refused)
  const bound = await alice.token({ token_binding: 'connection' })
  t.match(
    await exchange('alice', alice, bound, undefined, { token_binding: 'proof' }),
    notAllowed,
    'proof is weaker than connection',
  )
})

t.test('accepts a proof for the exchange request only', async t => {
  const alice = await as('alice')
  const token = await alice.token(proof)
  const limits = { jti: 'exchange', htm: 'POST', htu: '/oauth/token' }
  t.match(await exchange('alice', alice, token, prove(alice, token, { ...limits, htm: 'GET' })), refused)
  t.match(await exchange('alice', alice, token, prove(alice, token, { ...limits, htu: whoami })), refused)
  t.match(await exchange('alice', alice, token, prove(alice, token, limits)), { status: 200 })
  t.match(await exchange('alice', alice, token, prove(alice, token, limits)), refused)
})

t.test('accepts a proof in an exchange that was verified on the connection before, however old', async t => {
  const alice = await as('alice')
  const token = await alice.token(proof)
  const signed = prove(alice, token)
  t.match(await alice.get(whoami, token, signed), good)
  t.match(await exchange('alice', alice, token, signed), { status: 200 }, 'control')
  server.clock += 61
  t.match(await alice.get(whoami, token, signed), good, 'control')
  t.match(await exchange('alice', alice, token, signed), { status: 200 })
})

t.test('ignores a proof with a token that needs none, unless the route requires it (CB20)', async t => {
  const alice = await as('alice')
  for (const token_binding of ['certificate', 'connection']) {
    const token = await alice.token({ token_binding })
    for (const value of [
      'x',
      prove(alice, 'another'),
      prove(alice, token, { iat: 0 }),
      prove(alice, token, { jti: 'a' }),
    ])
      for (let use = 0; use < 2; use++)
        t.match(await alice.get(whoami, token, value), { status: 200, body: { token_binding } }, token_binding)
    t.match(await alice.get('/alone', token, 'x'), invalid, 'control')
    const stolen = await as('alice')
    const reason = token_binding === 'certificate' ? undefined : 'connection_mismatch'
    const answer = await stolen.get(whoami, token, prove(stolen, token))
    t.match(answer, reason ? refusal(reason) : { status: 200 }, 'it makes up for no other fault')
  }
})

t.test('refuses revoked and expired tokens and disabled clients despite a valid proof', async t => {
  for (const name of ['alice', 'bob']) {
    const [known, fresh] = [await as(name), await as(name)]
    const token = await known.token(proof)
    const signed = prove(known, token)
    t.match(await known.get(whoami, token, signed), good, 'control')
    t.match(await revoke(known, token, name), { status: 200 }, 'which needs no proof')
    t.match(await known.get(whoami, token, signed), refusal('revoked'), name)
    t.match(await fresh.get(whoami, token, prove(fresh, token)), refusal('revoked'), name)
    const old = await known.token(proof)
    server.clock += 300
    t.match(await known.get(whoami, old, prove(known, old)), refusal('expired'), name)
    t.match(await fresh.get(whoami, old, prove(fresh, old)), refusal('expired'), name)
  }
})

t.test('writes no proof and no keying material to any output (LK01)', async t => expectNone(t, server))
