// Why a client gets no token: each detail of each such reason, caused over real TLS, with the facts in its event. RFC 6749
// §5.2, RFC 8705 §2, RFC 8707 §2.
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import type { CertificateOrder } from '../../src/pki/certificate.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { characterString } from '../../src/pki/der.ts'
import { type Answer, issueCertificate, startTestServer } from '../../src/testing/server.ts'
import { buildCertificate, pemOf } from '../helpers/corpus/certificate.ts'
import { commonName, element } from '../helpers/corpus/der.ts'
import { keyOf } from '../helpers/corpus/keys.ts'
import { root } from '../helpers/corpus/world.ts'
import { provoke, provokeEach } from '../helpers/server/details.ts'
import { at, callOps } from '../helpers/server/ops.ts'
import { issuer, thumbprint } from '../helpers/tokens/forge-token.ts'
import {
  claimsOf,
  introspect,
  putClient,
  refresh,
  register,
  revoke,
  startGrant,
  tokensOf,
} from '../helpers/tokens/grants.ts'
import {
  makeReporter,
  publicKeys,
  send,
  sendSigned,
  signatureHeaders,
  trustReporters,
} from '../helpers/tokens/leaks.ts'
import {
  backend,
  exchange,
  exchangeGrant,
  idp,
  makeIssuer,
  outsideAudience,
  trust,
} from '../helpers/tokens/outside-issuer.ts'

t.setTimeout(120_000)
const selfSigned = issueCertificate({ subject: [['CN', 'alice']] })
const other = issueCertificate({ subject: [['CN', 'pinned']] })
const pin = (identity: typeof selfSigned) => ({ keys: [{ x5c: [identity.x509.raw.toString('base64')] }] })
const by = (id: string, rule: object, more: object = {}) => {
  const { tls_client_auth_subject_dn: _, ...rest } = register(id)
  return { ...rest, ...rule, ...more }
}
const pinned = { token_endpoint_auth_method: 'self_signed_tls_client_auth' }
const reporter = makeReporter()
const pki = makeDemoPki()
const outside = await makeIssuer()
const folder = t.testdir()
const server = await startTestServer({
  ops: true,
  pki,
  tls: { ca: pki.ca.certificate + root.pem },
  env: {
    ...trustReporters(folder, publicKeys(reporter)),
    ...trust(folder, [{ issuer: idp, audience: outsideAudience, jwks_file: 'idp.json' }], {
      'idp.json': { keys: [outside.publicJwk] },
    }),
  },
  clients: [
    register('alice', {
      grant_types: ['client_credentials', 'refresh_token', exchangeGrant],
      token_bindings: ['certificate', 'connection'],
      refresh_token_binding: 'certificate',
      theft_response: 'revoke_grant',
    }),
    register('bob', { grant_types: ['client_credentials', exchangeGrant], scope: 'notes:write' }),
    register('connected', { token_bindings: ['connection'] }),
    register('secret', {
      token_endpoint_auth_method: 'client_secret_basic',
    }),
    register('none', { token_endpoint_auth_method: 'client_secret_basic' }),
    by('parts', { tls_client_auth_subject_dn: 'CN=alice,O=Example' }),
    by('dns', { tls_client_auth_san_dns: 'alice.example' }),
    by('mail', { tls_client_auth_san_email: 'alice@example.org' }),
    by('pinned', { ...pinned, jwks: pin(other) }),
    by('own', { ...pinned, jwks: pin(selfSigned) }),
    register('api', { tls_client_auth_subject_dn: 'CN=mallory', resource: backend }),
  ],
})
t.teardown(() => server.close())
const alice = await server.connect('alice')
const bob = await server.connect('bob')
const formOf = (parameters: Readonly<Record<string, string>>) => alice.requestToken(parameters)

const identity = (order: Partial<CertificateOrder>) =>
  issueCertificate({
    issuer: server.pki.ca,
    subject: [['CN', 'alice']],
    extendedKeyUsage: ['clientAuth'],
    ...order,
  })
/** A token request with another certificate, as this client. */
const as = (clientId: string, order: Partial<CertificateOrder>) => async () =>
  (await server.connect(identity(order), { clientId })).requestToken()

const connected = await server.connect(identity({ subject: [['CN', 'connected']] }), { clientId: 'connected' })

/** A token request with a certificate whose subject has a length that DER forbids, but OpenSSL accepts. */
async function withoutDer(): Promise<Answer> {
  const name = commonName('alice')
  const subject = element(0x30, name.subarray(2), 'one octet too many')
  const certificate = pemOf(buildCertificate({ key: 'P-256', by: root, subject }))
  const key = keyOf('P-256').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const connection = await server.connect({ ...server.pki.alice, certificate, key }, { clientId: 'alice' })
  return connection.requestToken()
}

t.test('client_mismatch: reports each detail with the registered and the presented name', async t => {
  const dns = (...altNames: NonNullable<CertificateOrder['altNames']>) => ({ altNames })
  const token = await alice.token({ token_binding: 'certificate' })
  const secret = (await callOps(server, 'POST', at('secret', '/secrets'))).body
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  const request = async (id: string, authorization: object) =>
    (await server.connect(identity({ subject: [['CN', id]] }))).call('/oauth/token', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...authorization },
      body: `grant_type=client_credentials&client_id=${id}`,
    })
  const ask = (value: string) => request('secret', basic(`secret:${value}`))
  await provokeEach(t, server, 'client_mismatch', {
    order_differs: {
      send: as('parts', {
        subject: [
          ['CN', 'alice'],
          ['O', 'Example'],
        ],
      }),
      facts: { registered: 'CN=alice,O=Example', presented: 'O=Example,CN=alice' },
    },
    string_type: {
      send: as('alice', { subject: [['CN', characterString(30, Buffer.from('alice', 'utf16le').swap16())]] }),
      facts: { registered: 'CN=alice', presented: /^CN=#1e0a/ },
    },
    other_name: [
      { send: as('alice', { subject: [['CN', 'Alice']] }), facts: { registered: 'CN=alice', presented: 'CN=Alice' } },
      {
        send: as('dns', dns({ dns: 'bob.example' })),
        facts: { registered: 'dns:alice.example', presented: 'dns:bob.example, subject CN=alice' },
      },
    ],
    other_kind_of_name: {
      send: as('dns', { subject: [['CN', 'alice.example']] }),
      facts: { registered: 'dns:alice.example', presented: 'subject CN=alice.example' },
    },
    no_name: [
      {
        send: as('mail', dns({ dns: 'alice.example' })),
        facts: { registered: 'email:alice@example.org', presented: 'dns:alice.example, subject CN=alice' },
      },
      {
        send: as('alice', { subject: [], altNames: [{ dns: 'alice.example' }] }),
        facts: { registered: 'CN=alice', presented: 'dns:alice.example' },
      },
    ],
    name_unreadable: { send: withoutDer, facts: { registered: 'CN=alice' } },
    not_registered_certificate: {
      send: as('pinned', {}),
      facts: { thumbprint: /^[\w-]{43}$/ },
    },
    not_vouched_for: { send: async () => (await server.connect(selfSigned, { clientId: 'alice' })).requestToken() },
    secret_missing: [{ send: () => request('secret', {}) }, { send: () => ask('') }],
    secret_none_stored: [
      { send: () => request('none', {}) },
      { send: () => request('none', basic('none:')) },
      { send: () => request('none', basic('none:x')) },
    ],
    secret: { send: () => ask('wrong') },
    secret_delayed: { send: () => ask('wrong again') },
    other_owner: { send: () => revoke(bob, token, 'bob'), status: 200 },
    not_a_resource: { send: () => introspect(bob, token, 'bob'), status: 200 },
  })
  server.clock += 120
  t.match(await ask(secret.secret), { status: 200 }, 'control: the secret')
  t.match(await as('dns', dns({ dns: 'alice.example' }))(), { status: 200 }, 'control: a DNS name')
  t.match(
    await as('parts', {
      subject: [
        ['O', 'Example'],
        ['CN', 'alice'],
      ],
    })(),
    { status: 200 },
    'control: the order',
  )
  t.match(
    await (await server.connect(selfSigned, { clientId: 'own' })).requestToken(),
    { status: 200 },
    'control: pinned',
  )
})

t.test('unknown_client, client_disabled and the grant types: reports each detail', async t => {
  await provokeEach(t, server, 'unknown_client', {
    not_registered: { send: () => formOf({ client_id: 'Alice' }) },
  })
  t.match(server.events.at(-1), { client_id: 'Alice' })
  await callOps(server, 'POST', at('connected', '/disable'))
  await provokeEach(t, server, 'client_disabled', {
    disabled: { send: () => connected.requestToken() },
    format_unavailable: {
      // As a server that shares the store and has other keys would register it.
      send: async () => {
        const ofPaseto = register('connected', { token_bindings: ['connection'], access_token_format: 'paseto' })
        await putClient(server.store, ofPaseto)
        const answer = await connected.requestToken()
        await server.store.removeClient('connected')
        return answer
      },
    },
  })
  await callOps(server, 'POST', at('connected', '/enable'))
  t.match(await connected.requestToken(), { status: 200 }, 'control')
  await provokeEach(t, server, 'grant_type_unsupported', {
    grant_type: { send: () => formOf({ grant_type: 'password' }), status: 400, facts: { found: 'password' } },
  })
  await provokeEach(t, server, 'grant_type_not_allowed', {
    grant_type: {
      send: () => connected.requestToken({ grant_type: exchangeGrant }),
      status: 400,
      facts: { found: exchangeGrant, expected: 'client_credentials refresh_token' },
    },
    authorization_endpoint: { send: () => connected.get('/oauth/authorize'), status: 400 },
  })
})

t.test(
  'scope_denied, binding_not_allowed and target_unknown: reports each detail with the requested value',
  async t => {
    const { refresh: grant } = await startGrant(alice, { scope: 'notes:read' })
    const reading = await bobs('notes:read')
    const exchanging = (parameters: object) => () =>
      exchange(alice, reading.access, { client_id: 'alice', ...parameters })
    async function bobs(scope: string) {
      return { access: await alice.token({ scope, token_binding: 'connection' }) }
    }
    await provokeEach(t, server, 'scope_denied', {
      scope_malformed: {
        send: () => formOf({ scope: 'notes:read  notes:write' }),
        status: 400,
        facts: { found: 'notes:read  notes:write' },
      },
      not_registered: {
        send: () => formOf({ scope: 'notes:read admin' }),
        status: 400,
        facts: { found: 'notes:read admin', expected: 'notes:read notes:write' },
      },
      wider_than_granted: [
        {
          send: () => refresh(alice, grant, { scope: 'notes:write' }),
          status: 400,
          facts: { found: 'notes:write', expected: 'notes:read' },
        },
        {
          send: exchanging({ scope: 'notes:write' }),
          status: 400,
          facts: { found: 'notes:write', expected: 'notes:read' },
        },
      ],
      nothing_left: {
        send: async () => exchange(bob, await outside.sign(server.clock, { scope: 'notes:read openid' })),
        status: 400,
        facts: { found: 'notes:read openid', expected: 'notes:write' },
      },
    })
    t.match(await exchanging({ scope: 'notes:read' })(), { status: 200 }, 'control')
    await provokeEach(t, server, 'binding_not_allowed', {
      not_registered: [
        {
          send: () => connected.requestToken({ token_binding: 'certificate' }),
          status: 400,
          facts: { found: 'certificate', expected: 'connection' },
        },
        {
          send: () => formOf({ token_binding: 'none' }),
          status: 400,
          facts: { found: 'none', expected: 'certificate connection' },
        },
      ],
      weaker_than_subject: {
        send: exchanging({ token_binding: 'certificate' }),
        status: 400,
        facts: { found: 'certificate', expected: 'connection' },
      },
    })
    t.match(await exchanging({ token_binding: 'connection' })(), { status: 200 }, 'control')
    const fresh = await startGrant(alice)
    await provokeEach(t, server, 'target_unknown', {
      not_registered: {
        send: () => formOf({ resource: `${issuer}/?secret` }),
        status: 400,
        facts: { found: `${issuer}/` },
      },
      other_than_granted: {
        send: () => refresh(alice, fresh.refresh, { resource: backend }),
        status: 400,
        facts: { found: backend, expected: issuer },
      },
      two_targets: {
        send: exchanging({ resource: issuer, audience: backend }),
        status: 400,
        facts: { found: `resource ${issuer}, audience ${backend}` },
      },
    })
    t.match(await exchanging({ resource: issuer, audience: `${issuer}/` })(), { status: 200 }, 'control: one target')
    t.match(await formOf({ resource: issuer }), { status: 200 }, 'control')
    const renewed = await refresh(alice, fresh.refresh, { resource: issuer })
    t.match(renewed, { status: 200 }, 'control')
    const again = await refresh(alice, renewed.body.refresh_token as string, { resource: `${issuer}/` })
    t.match(again, { status: 200 }, 'an empty path and / are one target')
  },
)

t.test('refresh tokens: reports each detail of each reason', async t => {
  const renewed = await server.connect(identity({}), { clientId: 'alice' })
  const { refresh: known, access } = await startGrant(alice)
  const unknown = buildOpaqueToken('rt', randomBytes(32))
  const opaque = buildOpaqueToken('at', randomBytes(32))
  const expected = 'a prefix, and 49 letters or digits'
  t.match(known, /^tlsbound_rt_[0-9A-Za-z]{49}$/)
  await provokeEach(t, server, 'refresh_unknown', {
    form: [
      { send: () => refresh(alice, access), status: 400, facts: { found: 'a JWT', expected } },
      { send: () => refresh(alice, opaque), status: 400, facts: { found: 'an access token', expected } },
      { send: () => refresh(alice, 'v4.public.eyJ.x'), status: 400, facts: { found: 'a PASETO', expected } },
      {
        send: () => refresh(alice, known.slice(0, -1)),
        status: 400,
        facts: { found: `${known.length - 1} characters`, expected },
      },
    ],
    not_stored: {
      send: async () => {
        const answer = await refresh(alice, unknown)
        t.notOk('grant' in (server.events.at(-1) as object), 'an unknown token names no grant')
        return answer
      },
      status: 400,
    },
    other_client: { send: () => refresh(connected, known), status: 400 },
  })
  t.match(server.events.at(-1), { client_id: 'alice', by: 'connected' }, 'its owner, and the client that presented it')
  const mine = await startGrant(alice)
  await provokeEach(t, server, 'refresh_certificate_mismatch', {
    other_certificate: { send: () => refresh(renewed, mine.refresh), status: 400 },
  })
  const own = { client_id: 'alice', bound_to: thumbprint(server.pki.alice.x509.raw) }
  t.match(server.events.at(-1), { ...own, grant: claimsOf(mine.access).grant, 'x5t#S256': String })
  const used = await startGrant(alice)
  const next = await refresh(alice, used.refresh)
  t.match(next, { status: 200 }, 'control')
  const grant = { ...own, grant: claimsOf(used.access).grant }
  server.clock += 2
  t.match(await refresh(alice, next.body.refresh_token), { status: 200 })
  const provokeReuse = (detail: 'reused' | 'answer_lost', token: string, facts: object, by = alice) =>
    provokeWithReuse(t, detail, () => refresh(by, token), facts)
  await provokeReuse('reused', used.refresh, { ...grant, facts: { first_use: 2, grant_revoked: 'yes' } })
  await provoke(t, server, 'refresh_revoked', 'revoked', { send: () => refresh(alice, used.refresh), status: 400 })
  t.match(server.events.at(-1), grant, 'the event names the grant')
  const alarms = server.alarms.length
  await provoke(t, server, 'refresh_certificate_mismatch', 'other_certificate', {
    send: () => refresh(renewed, used.refresh),
    status: 400,
  })
  t.match(server.events.at(-1), grant, 'also after its revocation')
  t.notOk('came_with' in (server.events.at(-1) as object), 'a revoked grant is no sign of theft')
  await pause(50)
  t.equal(server.alarms.length, alarms)
  const lost = await startGrant(alice)
  t.match(await refresh(alice, lost.refresh), { status: 200 })
  server.clock += 61
  await pause(1)
  const lostGrant = { ...own, grant: claimsOf(lost.access).grant }
  await provokeReuse('answer_lost', lost.refresh, { ...lostGrant, facts: { first_use: 61, grant_revoked: 'yes' } })
  const lenient = await startGrant(connected)
  const { refresh: second } = tokensOf(await refresh(connected, lenient.refresh))
  const { refresh: third } = tokensOf(await refresh(connected, second))
  await provokeReuse(
    'reused',
    lenient.refresh,
    { client_id: 'connected', facts: { first_use: 0, grant_revoked: 'no' } },
    connected,
  )
  t.match(await refresh(connected, third), { status: 200 }, 'by its theft_response, the grant continues')
  const durable = await server.connect(identity({ notAfter: new Date(Date.now() + 365 * 86_400_000) }), {
    clientId: 'alice',
  })
  const last = await startGrant(durable)
  const { clock } = server
  server.clock += 60 * 86_400
  await provoke(t, server, 'refresh_expired', 'ended', {
    send: () => refresh(durable, last.refresh),
    status: 400,
    facts: { found: clock + 86_400, limit: 86_400, now: server.clock },
  })
  t.match(server.events.at(-1), { client_id: 'alice', grant: claimsOf(last.access).grant }, 'the event names the grant')
  server.clock = clock
})

/** A reuse has two events: the refusal follows the alarm. */
async function provokeWithReuse(
  t: { match(found: unknown, wanted: unknown, name: string): boolean },
  detail: 'reused' | 'answer_lost',
  ask: () => Promise<Answer>,
  refused: object,
): Promise<void> {
  const before = server.events.length
  t.match(await ask(), { status: 400, body: { reason: 'refresh_reused' } }, detail)
  const events = server.events.slice(before).filter(({ outcome }) => outcome === 'refused')
  t.match(
    events,
    [
      { event: 'refresh.reused', detail, grant: String },
      { event: 'token.refused', reason: 'refresh_reused', detail, ...refused },
    ],
    detail,
  )
}

t.test('report_signature_invalid: reports each detail with the key', async t => {
  const body = '[{"token":"x"}]'
  const unknown = makeReporter('unknown')
  const anybody = await server.connect(null)
  await provokeEach(t, server, 'report_signature_invalid', {
    unknown_key: { send: () => sendSigned(anybody, unknown, body), facts: { kid: 'unknown' } },
    wrong_signature: {
      send: () => send(anybody, `${body} `, signatureHeaders(reporter, body)),
      facts: { kid: reporter.identifier },
    },
  })
  t.match(await sendSigned(anybody, reporter, body), { status: 204 }, 'control')
})
