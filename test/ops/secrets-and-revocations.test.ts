// Client secrets, and revocations of every kind, through the ops listener: each revokes exactly what it should.
// RFC 6749 §2.3.1, RFC 7009; OA02, OA21.
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { type Answer, startTestServer, type TestConnection, type TestServer } from '../../src/testing/server.ts'
import { at, callOps, identityOf, registrationOf } from '../helpers/server/ops.ts'
import { refresh, tokensOf } from '../helpers/tokens/grants.ts'

async function start(t: Pick<typeof import('tap').t, 'teardown'>, clients: readonly object[]): Promise<TestServer> {
  const server = await startTestServer({ ops: true, clients })
  t.teardown(() => server.close())
  return server
}

t.test('accepts two secrets at once, and refuses a third and a removed one', async t => {
  const server = await start(t, [
    registrationOf('alice', { token_endpoint_auth_method: 'client_secret_basic' }),
    registrationOf('bob'),
  ])
  const alice = await server.connect('alice')
  const request = (connection: TestConnection, secret: string): Promise<Answer> => {
    server.clock += 61 // after the delay of a failed attempt
    const headers = {
      authorization: `Basic ${Buffer.from(`alice:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    }
    return connection.call('/oauth/token', { method: 'POST', headers, body: 'grant_type=client_credentials' })
  }
  const mismatch = { status: 401, body: { error: 'invalid_client', reason: 'client_mismatch' } }
  const add = () => callOps(server, 'POST', at('alice', '/secrets'))
  t.match(await request(alice, ''), mismatch, 'none yet')

  const first = await add()
  t.match(first, {
    status: 201,
    headers: { 'cache-control': 'no-store' },
    body: { client_id: 'alice', secret_id: /^\w+$/, secret: /^[\w-]{43}$/ },
  })
  t.match(await request(alice, first.body.secret), { status: 200 })
  const second = await add()
  t.not(second.body.secret, first.body.secret)
  for (const { secret } of [first.body, second.body]) t.match(await request(alice, secret), { status: 200 })
  t.match(await request(alice, `${first.body.secret}A`), mismatch)
  t.match(await request(await server.connect('bob'), first.body.secret), mismatch, 'with the certificate only')
  t.match(await add(), { status: 409, body: { reason: 'malformed_request', problems: [/two secrets/] } })

  const view = await callOps(server, 'GET', at('alice'))
  t.same(view.body.secrets, [first.body.secret_id, second.body.secret_id])
  const kept = await server.store.listSecrets('alice')
  t.match(kept, [{ hash: /^scrypt\$/ }, { hash: /^scrypt\$/ }], 'hashes are stored')
  for (const { hash } of kept) t.notMatch(view.text, hash.split('$')[2] as string, 'and never shown')
  const written = JSON.stringify([server.events, server.log, kept])
  for (const { secret } of [first.body, second.body])
    t.notMatch(written, secret, 'secrets are neither stored nor recorded')

  const removed = await callOps(server, 'DELETE', at('alice', `/secrets/${first.body.secret_id}`))
  t.match(removed, { status: 200, body: { client_id: 'alice', secret_id: first.body.secret_id, removed: true } })
  t.match(await request(alice, first.body.secret), mismatch)
  t.match(await request(alice, second.body.secret), { status: 200 })
  t.match(await callOps(server, 'DELETE', at('alice', `/secrets/${first.body.secret_id}`)), { status: 404 })
  t.match(
    server.events.filter(({ event }) => event === 'client.changed').map(({ change, secret_id }) => [change, secret_id]),
    [
      ['secret_added', first.body.secret_id],
      ['secret_added', second.body.secret_id],
      ['secret_removed', first.body.secret_id],
    ],
  )
  const unknown = { status: 404, body: { reason: 'unknown_client' } }
  t.match(await callOps(server, 'POST', at('nobody', '/secrets')), unknown)
  t.match(await callOps(server, 'DELETE', at('nobody', '/secrets/x')), unknown)
})

t.test('gives two secrets to many parallel requests, and client changes preserve them', async t => {
  const usesSecret = { token_endpoint_auth_method: 'client_secret_basic' }
  const server = await start(t, [registrationOf('alice', usesSecret)])
  const answers = await Promise.all([1, 2, 3, 4].map(() => callOps(server, 'POST', at('alice', '/secrets'))))
  t.same(answers.map(({ status }) => status).sort(), [201, 201, 409, 409])
  await callOps(server, 'PUT', at('alice'), { body: registrationOf('alice', { ...usesSecret, scope: 'notes:read' }) })
  await callOps(server, 'POST', at('alice', '/disable'))
  t.equal((await callOps(server, 'GET', at('alice'))).body.secrets.length, 2)
})

t.test('refuses a secret for a client whose method never uses one', async t => {
  const server = await start(t, [registrationOf('alice', { token_endpoint_auth_method: 'client_secret_basic' })])
  const { certificate } = server.pki.bob
  const x5c = [new X509Certificate(certificate).raw.toString('base64')]
  const self = {
    client_id: 'bob',
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [{ x5c }] },
  }
  for (const registration of [registrationOf('carol'), self]) {
    const { client_id: id, token_endpoint_auth_method: method } = registration as Record<string, string>
    const since = server.events.length
    t.match(await callOps(server, 'PUT', at(id as string), { body: registration }), { status: 201 })
    const problem = `${id} never uses a secret, because it authenticates by ${method}; register it with client_secret_basic first`
    t.match(await callOps(server, 'POST', at(id as string, '/secrets')), { status: 409, body: { problems: [problem] } })
    t.match(server.events.slice(since), [{ change: 'added' }, { event: 'admin.refused', status: 409 }])
    t.same(await server.store.listSecrets(id as string), [])
  }
  t.match(await callOps(server, 'POST', at('alice', '/secrets')), { status: 201 }, 'control')
  for (const [method, says] of [
    ['client_secret_basic', /^client_secret is not known: .*clients add-secret creates one$/],
    ['tls_client_auth', /^client_secret is not known: .*only client_secret_basic uses a secret/],
  ] as const) {
    const body = registrationOf('dave', { token_endpoint_auth_method: method, client_secret: 'x'.repeat(43) })
    t.match(await callOps(server, 'PUT', at('dave'), { body }), { status: 400, body: { problems: [says] } }, method)
  }
})

interface Holding {
  readonly connection: TestConnection
  readonly token: string
  readonly refresh: string
  readonly claims: { readonly jti: string; readonly grant: string; readonly cnf: Record<string, string> }
}

async function hold(connection: TestConnection): Promise<Holding> {
  const { access_token: token, refresh_token: refresh } = (await connection.requestToken()).body
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
  return { connection, token, refresh, claims }
}

type Names = 'first' | 'second' | 'renewed' | 'bobs'
type Holdings = Record<Names, Holding>
const everything: Names[] = ['first', 'second', 'renewed', 'bobs']

/** The target of each revocation, and what it revokes as an access token and as a refresh token. */
const kinds: Record<string, { value(held: Holdings): string | undefined; tokens: Names[]; refresh: Names[] }> = {
  token: { value: ({ first }) => first.claims.jti, tokens: ['first'], refresh: [] },
  grant: { value: ({ first }) => first.claims.grant, tokens: ['first'], refresh: ['first'] },
  client: { value: () => 'alice', tokens: ['first', 'second', 'renewed'], refresh: ['first', 'second', 'renewed'] },
  certificate: {
    value: ({ first }) => first.claims.cnf['x5t#S256'],
    tokens: ['first', 'second'],
    refresh: ['first', 'second'],
  },
  all: { value: () => undefined, tokens: everything, refresh: everything },
}

for (const [kind, { value, tokens, refresh }] of Object.entries(kinds))
  t.test(
    `revoking by ${kind} revokes what it should, at once and on every connection, and nothing else (OA21)`,
    async t => {
      const server = await start(t, [registrationOf('alice'), registrationOf('bob')])
      const alice = await server.connect('alice')
      const held: Holdings = {
        first: await hold(alice),
        second: await hold(await server.connect('alice')),
        renewed: await hold(await server.connect(identityOf(server, 'alice'))),
        bobs: await hold(await server.connect('bob')),
      }
      const alive = { status: 200 }
      const dead = { status: 401, body: { error: 'invalid_token', reason: 'revoked' } }
      for (const name of everything)
        t.match(await held[name].connection.get('/api/whoami', held[name].token), alive, 'control')

      const since = server.events.length
      const now = server.clock
      const target = { kind, ...(value(held) !== undefined && { value: value(held) }) }
      const answer = await callOps(server, 'POST', '/admin/revocations', { body: target })
      const marked = ['client', 'certificate', 'all'].includes(kind)
      t.match(answer, { status: 201, body: { ...target, not_before: marked ? now + 11 : now, expires: Number } })
      const grants = refresh.length
      const certificate = held.first.claims.cnf['x5t#S256']
      const all = Object.values(held).filter(({ claims }) => claims.cnf['x5t#S256'] === certificate)
      const connections = kind === 'certificate' ? all.length : 0
      const ended = { grants, more: false, tokens_in_use: tokens.length, connections }
      t.match(answer.body, { known: true, ended }, 'says what it has ended')
      t.ok(answer.body.expires > now + 10 + 86_400, 'after the expiry of every current access token')
      t.match(server.events.slice(since), [
        { event: 'token.revoked', outcome: 'success', kind, path: '/admin/revocations' },
      ])
      t.equal(server.events.length, since + 1)

      const other = await server.connect('alice')
      if (tokens.includes('first'))
        t.match(await other.get('/api/whoami', held.first.token), dead, 'on a new connection')
      for (const name of everything)
        t.match(
          await held[name].connection.get('/api/whoami', held[name].token),
          tokens.includes(name) ? dead : alive,
          name,
        )
      for (const connection of [alice, other])
        t.match(await connection.get('/api/whoami', await connection.token()), alive, 'issued within the same second')

      server.clock += 1
      for (const name of everything) {
        const { connection, refresh: refresh_token } = held[name]
        const refreshed = await connection.requestToken({ grant_type: 'refresh_token', refresh_token })
        const expected = refresh.includes(name)
          ? { status: 400, body: { error: 'invalid_grant', reason: 'refresh_revoked' } }
          : { status: 200 }
        t.match(refreshed, expected, `the refresh token of ${name}`)
      }
      const again = await hold(alice)
      t.match(await alice.get('/api/whoami', again.token), alive, 'what is issued afterwards works')
      const refreshed = await alice.requestToken({ grant_type: 'refresh_token', refresh_token: again.refresh })
      t.match(refreshed, { status: 200 }, 'and its refresh token')
      t.match(await alice.get('/api/whoami', refreshed.body.access_token), alive)
    },
  )

for (const [kind, value] of [
  ['all', undefined],
  ['client', 'alice'],
  ['certificate', 'hers'],
] as const)
  t.test(`revoking by ${kind} covers tokens issued by a clock that is ahead, and no later ones`, async t => {
    const opaque = { access_token_format: 'opaque' }
    for (const client of [registrationOf('alice'), { ...registrationOf('alice'), ...opaque }]) {
      const server = await start(t, [client, registrationOf('bob')])
      const alice = await server.connect('alice')
      const elsewhere = await server.connect('alice')
      const certificate = async () => (await alice.get('/binding')).body.certificate['x5t#S256']
      const revokeAll = async () => {
        const target = value === 'hers' ? await certificate() : value
        const body = { kind, ...(target !== undefined && { value: target }) }
        t.match(await callOps(server, 'POST', '/admin/revocations', { body }), { status: 201 })
      }
      const wish = { token_binding: 'certificate' }
      const ask = async () => tokensOf(await alice.requestToken(wish))
      const now = server.clock
      const held = []
      for (const ahead of [0, 1, 9, 10]) {
        server.clock = now + ahead
        held.push(await ask())
      }
      server.clock = now
      for (const { access } of held) t.match(await elsewhere.get('/api/whoami', access), { status: 200 }, 'control')
      for (let again = 0; again < 3; again++) {
        await revokeAll()
        for (const { access, refresh: token } of held.splice(0)) {
          t.match(await elsewhere.get('/api/whoami', access), { status: 401, body: { reason: 'revoked' } })
          t.match(await refresh(alice, token, wish), { status: 400, body: { reason: 'refresh_revoked' } })
        }
        const fresh = await ask()
        for (const later of [0, 5, 11, 12]) {
          server.clock = now + later
          t.match(await elsewhere.get('/api/whoami', fresh.access), { status: 200 }, `${later} s later`)
        }
        server.clock = now
        held.push(tokensOf(await refresh(alice, fresh.refresh, wish)), await ask()) // for the next revocation, in the same second
        for (const { access } of held) t.match(await elsewhere.get('/api/whoami', access), { status: 200 })
      }
    }
  })

t.test(
  'refuses to revoke an unknown client or grant, unless force is given, and counts what was ended once',
  async t => {
    const server = await start(t, [registrationOf('alice')])
    const { claims } = await hold(await server.connect('alice'))
    const revoke = (body: object) => callOps(server, 'POST', '/admin/revocations', { body })
    for (const target of [
      { kind: 'client', value: 'nobody' },
      { kind: 'grant', value: 'none' },
    ]) {
      const since = server.events.length
      t.match(await revoke(target), { status: 404, body: { problems: [/; nothing was revoked\./] } })
      t.match(await revoke({ ...target, force: false }), { status: 404 })
      t.notOk(server.events.slice(since).some(({ event }) => event === 'token.revoked'))
      const nothing = { grants: 0, more: false, tokens_in_use: 0, connections: 0 }
      t.match(await revoke({ ...target, force: true }), { status: 201, body: { known: false, ended: nothing } })
    }
    for (const target of [
      { kind: 'token', value: 'none' },
      { kind: 'certificate', value: 'A'.repeat(43) },
    ])
      t.match(await revoke(target), { status: 201, body: { known: false } }, 'it may exist, since it leaves no trace')
    const target = { kind: 'grant', value: claims.grant }
    t.match(await revoke(target), { status: 201, body: { known: true, ended: { grants: 1, tokens_in_use: 1 } } })
    t.match(await revoke(target), { status: 201, body: { known: true, ended: { grants: 0, tokens_in_use: 0 } } })
  },
)

t.test('rejects an ambiguous revocation and revokes nothing', async t => {
  const server = await start(t, [registrationOf('alice')])
  const alice = await server.connect('alice')
  const { token, claims } = await hold(alice)
  const x5t = claims.cnf['x5t#S256'] as string
  const rows: [name: string, body: unknown, problem: RegExp][] = [
    ['no kind', { value: 'alice' }, /kind must be/],
    ['an unknown kind', { kind: 'user', value: 'alice' }, /kind must be/],
    ['a kind of the prototype', { kind: 'constructor', value: 'alice' }, /kind must be/],
    ['a list of kinds', { kind: ['all'] }, /kind must be/],
    ['a kind without a string form', { kind: { toString: 1 } }, /kind must be/],
    ['a list of such', { kind: [{ toString: 1 }] }, /kind must be/],
    ['a value that cannot be made a text', { kind: 'token', value: { toString: 1 } }, /value must be/],
    ['no value', { kind: 'client' }, /value must be a client_id/],
    ['an empty value', { kind: 'token', value: '' }, /value must be/],
    ['a value that is no text', { kind: 'grant', value: 7 }, /value must be/],
    ['a value too long', { kind: 'client', value: 'a'.repeat(257) }, /value must be/],
    ['a fingerprint in hex', { kind: 'certificate', value: Buffer.from(x5t, 'base64url').toString('hex') }, /x5t#S256/],
    ['a value for all', { kind: 'all', value: 'alice' }, /absent/],
    ['a force that is no boolean', { kind: 'client', value: 'alice', force: 'yes' }, /force must be true or false/],
    ['more than that', { kind: 'all', clients: ['bob'] }, /clients is not known/],
    ['null', 'null', /kind must be/],
    ['a list', [], /kind must be/],
  ]
  for (const [name, body, problem] of rows) {
    const since = server.events.length
    const answer = await callOps(server, 'POST', '/admin/revocations', { body })
    t.match(answer, { status: 400, body: { reason: 'malformed_request', problems: [problem] } }, name)
    t.match(server.events.slice(since), [{ event: 'admin.refused', status: 400 }], name)
  }
  t.match(await alice.get('/api/whoami', token), { status: 200 })
  t.match(await callOps(server, 'POST', '/admin/revocations', { body: { kind: 'all' } }), { status: 201 }, 'control')
  t.match(await alice.get('/api/whoami', token), { status: 401 })
})
