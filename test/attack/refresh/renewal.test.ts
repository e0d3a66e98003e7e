// A refresh token that is bound to its client survives a renewal of the certificate, and nothing else does (RFC 8705 §7.1). N-28,
// OA07, OA08. Access tokens stay bound to the certificate that they were issued to.

import { hash } from 'node:crypto'
import t from 'tap'
import { openSqlite } from '../../../src/store/sqlite.ts'
import { type Identity, issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { at, callOps, registrationOf } from '../../helpers/server/ops.ts'
import { claimsOf, contentsOf, refresh, register, revoke, startGrant, tokensOf } from '../../helpers/tokens/grants.ts'

const spiffe = 'spiffe://example.org/ns/default/sa/notes'
const rule = (id: string, more: object) => {
  const { tls_client_auth_subject_dn: _, ...rest } = register(id)
  return { ...rest, ...more }
}
const selfSigned = (): Identity => issueCertificate({ subject: [['CN', 'anna']] })
const pins = [selfSigned(), selfSigned()] as const
const keys = (...identities: readonly Identity[]) => ({
  token_endpoint_auth_method: 'self_signed_tls_client_auth',
  jwks: { keys: identities.map(({ x509 }) => ({ x5c: [x509.raw.toString('base64')] })) },
})
const server = await startTestServer({
  ops: true,
  closeAfter: 0,
  store: openSqlite(':memory:'),
  clients: [
    register('alice', { theft_response: 'close' }),
    register('bob', { refresh_token_binding: 'certificate' }),
    register('stan', { refresh_token_rotation: 'static' }),
    rule('notes', { tls_client_auth_san_uri: spiffe }),
    rule('anna', keys(...pins)),
    rule('otto', { ...keys(selfSigned()), refresh_token_binding: 'client' }),
  ],
})
t.teardown(() => server.close())
const issue = (order: object) =>
  issueCertificate({ subject: [['CN', 'x']], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'], ...order })
const named = (name: string) => issue({ subject: [['CN', name]] })
const svid = (uri = spiffe) => issue({ subject: [['O', 'SPIRE']], altNames: [{ uri }] })
const as = (identity: Identity | null, clientId: string) => server.connect(identity, { clientId })
const thumbprint = ({ x509 }: Identity) => hash('sha256', x509.raw, 'base64url')
const refused = (reason: string, status = 400) => ({ status, body: { reason } })

for (const [id, renew] of [
  ['alice', () => named('alice')],
  ['notes', () => svid()],
  ['stan', () => named('stan')],
] as const)
  t.test(`refreshes with a renewed certificate, which is an event and no sign of theft (N-28): ${id}`, async t => {
    const [one, two, three] = [renew(), renew(), renew()]
    const [first, second, third] = [await as(one, id), await as(two, id), await as(three, id)]
    const start = await startGrant(first, { token_binding: 'certificate' })
    const before = server.events.length
    const moved = tokensOf(await refresh(second, start.refresh, { token_binding: 'certificate' }))
    const { grant } = claimsOf(start.access)
    t.match(server.events.slice(before), [
      {
        ...{ event: 'refresh.rebound', outcome: 'success', client_id: id, grant },
        ...{ bound_to: thumbprint(two), bound_before: thumbprint(one), 'x5t#S256': thumbprint(two) },
      },
      { event: 'refresh.rotated', grant },
      { event: 'token.issued', grant },
    ])
    t.match(await second.get('/api/whoami', moved.access), { status: 200 })
    t.match(await first.get('/api/whoami', start.access), { status: 200 }, 'access tokens stay bound as they are')
    t.match(await second.get('/api/whoami', start.access), refused('certificate_mismatch', 401))
    t.match(await first.get('/api/whoami', moved.access), refused('certificate_mismatch', 401))
    const later = server.events.length
    const next = tokensOf(await refresh(second, moved.refresh))
    const rebound = () => server.events.slice(later).filter(({ event }) => event === 'refresh.rebound')
    t.same(rebound(), [], 'one event per renewal')
    t.match(await refresh(third, next.refresh), { status: 200 }, 'and again')
    t.match(rebound(), [{ bound_before: thumbprint(two), bound_to: thumbprint(three) }])
    t.same(server.alarms, [], 'no alarm')
  })

t.test('repeats a lost answer to the renewed certificate (N-28)', async t => {
  const [first, second] = [await as(svid(), 'notes'), await as(svid(), 'notes')]
  const start = await startGrant(first)
  const lost = tokensOf(await refresh(first, start.refresh))
  const again = tokensOf(await refresh(second, start.refresh))
  t.equal(again.refresh, lost.refresh)
  t.match(await second.get('/api/whoami', again.access), { status: 200 }, 'bound to its own connection')
  const answers = await Promise.all([first, second, first, second].map(one => refresh(one, again.refresh)))
  t.equal(new Set(answers.map(answer => tokensOf(answer).refresh)).size, 1, 'two processes during a renewal')
  t.same(server.alarms, [])
})

t.test(
  'refuses every certificate that does not authenticate as the client, and changes nothing (N-28, OA07)',
  async t => {
    const owner = await as(svid(), 'notes')
    const { refresh: token } = await startGrant(owner)
    const foreign = issueCertificate({ subject: [['CN', 'tlsbound demo CA']], ca: true })
    const before = await contentsOf(server.store, [token])
    const thieves: [string, Identity | null, string, object][] = [
      ['another id', svid(`${spiffe}2`), 'notes', refused('client_mismatch', 401)],
      ['a part of the id', svid(spiffe.slice(0, -1)), 'notes', refused('client_mismatch', 401)],
      ['the id in another place', issue({ subject: [['CN', spiffe]] }), 'notes', refused('client_mismatch', 401)],
      [
        'the id from another authority',
        issueCertificate({
          subject: [['O', 'SPIRE']],
          issuer: foreign,
          altNames: [{ uri: spiffe }],
          extendedKeyUsage: ['clientAuth'],
        }),
        'notes',
        refused('certificate_untrusted', 401),
      ],
      [
        'the id, self-signed',
        issueCertificate({ subject: [['O', 'SPIRE']], altNames: [{ uri: spiffe }] }),
        'notes',
        refused('certificate_untrusted', 401),
      ],
      ['another client', server.pki.bob, 'bob', refused('refresh_unknown')],
      ['another client under this id', server.pki.bob, 'notes', refused('client_mismatch', 401)],
      ['no certificate', null, 'notes', refused('no_certificate', 401)],
    ]
    for (const [name, identity, id, answer] of thieves) {
      const thief = await as(identity, id)
      t.match(await refresh(thief, token), answer, name)
      t.same(await contentsOf(server.store, [token]), before, name)
    }
    t.notOk(server.events.some(({ event, by }) => event === 'refresh.rebound' && by !== undefined))
    t.match(await refresh(await as(svid(), 'notes'), token), { status: 200 }, 'control: a renewed certificate')
  },
)

t.test('refuses a renewed certificate where the registration binds to the certificate', async t => {
  const bob = await as(server.pki.bob, 'bob')
  const { refresh: token } = await startGrant(bob)
  const renewed = await as(named('bob'), 'bob')
  t.match(await refresh(renewed, token), refused('refresh_certificate_mismatch'))
  t.match(await refresh(bob, token), { status: 200 }, 'control: its own certificate')

  const [anna, other] = [await as(pins[0], 'anna'), await as(pins[1], 'anna')]
  const { refresh: pinned } = await startGrant(anna)
  t.match(await refresh(other, pinned), refused('refresh_certificate_mismatch'), 'the default for self-signed ones')
  t.match(await refresh(anna, pinned), { status: 200 }, 'control')
})

t.test('moves between the registered self-signed certificates of a client, if it is registered so', async t => {
  const moving = { ...rule('anna', keys(...pins)), refresh_token_binding: 'client' }
  await callOps(server, 'PUT', at('anna'), { body: moving })
  const [anna, other] = [await as(pins[0], 'anna'), await as(pins[1], 'anna')]
  const { refresh: token } = await startGrant(anna)
  const next = tokensOf(await refresh(other, token))
  const third = await as(selfSigned(), 'anna')
  t.match(await refresh(third, next.refresh), { status: 401 }, 'a certificate that is not registered')
  t.match(await refresh(anna, next.refresh), { status: 200 }, 'control')
})

t.test('applies the binding of a registration that was changed while the server runs', async t => {
  const put = (more: object) => callOps(server, 'PUT', at('carol'), { body: registrationOf('carol', more) })
  t.match(await put({ refresh_token_binding: 'subject' }), { status: 400 })
  t.match(await put({ refresh_token_binding: 'certificate' }), { status: 201 })
  const carol = async () => as(named('carol'), 'carol')
  const bound = await startGrant(await carol())
  t.match(await refresh(await carol(), bound.refresh), refused('refresh_certificate_mismatch'))
  t.match(await put({ refresh_token_binding: 'client' }), { status: 200 })
  const shown = await callOps(server, 'GET', at('carol'))
  t.match(JSON.stringify(shown.body), /"refresh_token_binding":"client"/)
  const free = await startGrant(await carol())
  t.match(await refresh(await carol(), free.refresh), { status: 200 })
})

t.test('ends a grant with the certificate that it was last bound to', async t => {
  const [one, two] = [named('alice'), named('alice')]
  const [first, second] = [await as(one, 'alice'), await as(two, 'alice')]
  const moved = tokensOf(await refresh(second, (await startGrant(first)).refresh))
  const kept = tokensOf(await refresh(second, (await startGrant(first)).refresh))
  const mark = (identity: Identity) =>
    callOps(server, 'POST', '/admin/revocations', { body: { kind: 'certificate', value: thumbprint(identity) } })
  await mark(one)
  const next = tokensOf(await refresh(await as(two, 'alice'), moved.refresh))
  await mark(two)
  const third = await as(named('alice'), 'alice')
  for (const token of [next.refresh, kept.refresh]) t.match(await refresh(third, token), refused('refresh_revoked'))
  const after = await startGrant(third)
  t.match(await refresh(await as(named('alice'), 'alice'), after.refresh), { status: 200 }, 'control: a later grant')
  t.match(await revoke(third, after.refresh), { status: 200 })
  t.match(await refresh(third, after.refresh), refused('refresh_revoked'))
})
