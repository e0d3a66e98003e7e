// Client registrations: parsed completely, with one problem for each fault. N-22, N-23; RFC 7591 §2, RFC 8705 §2.1.2, §2.2.2.
import { generateKeyPairSync, hash, type X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { findRival, parseClient, parseClients } from '../../src/core/client.ts'
import { parseName } from '../../src/core/distinguished-name.ts'
import { agreesWith } from '../../src/core/key-certificate.ts'
import { subjectRules } from '../../src/core/subject-rule.ts'
import { type Identity, issueCertificate } from '../../src/pki/certificate.ts'

const alice = {
  client_id: 'alice',
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: 'CN=alice',
  scope: 'notes:read notes:write',
  grant_types: ['client_credentials'],
  token_bindings: ['certificate', 'connection'],
}
const { tls_client_auth_subject_dn: _, ...nameless } = alice
const read = (...list: unknown[]) => {
  const problems: string[] = []
  const clients = parseClients(list, problems)
  return { clients, problems }
}
const problemsOf = (...list: unknown[]) => read(...list).problems

t.test('parses a registration into a client', async t => {
  const { clients, problems } = read(alice, {
    ...alice,
    client_id: 'bob',
    tls_client_auth_subject_dn: 'CN=bob',
    client_name: 'Bob',
  })
  t.same(problems, [])
  t.same([...clients.keys()], ['alice', 'bob'])
  t.same(clients.get('alice'), {
    id: 'alice',
    method: 'tls_client_auth',
    subject: { type: 'subject_dn', value: parseName('CN=alice') },
    certificates: new Set(),
    scope: new Set(['notes:read', 'notes:write']),
    grantTypes: new Set(['client_credentials']),
    bindings: ['certificate', 'connection'],
    format: 'jwt',
    rotation: 'rotate',
    refreshTokenBinding: 'client',
    theftResponse: 'alert',
    resource: undefined,
  })
  t.ok(Object.isFrozen(clients.get('alice')))
  t.same(read().clients.size, 0, 'an empty list is valid')
})

t.test('accepts tls_client_certificate_bound_access_tokens only as true (RFC 8705 §3.4)', async t => {
  t.same(problemsOf({ ...alice, tls_client_certificate_bound_access_tokens: true }), [])
  for (const wrong of [false, 'true', null, 0])
    t.match(
      problemsOf({ ...alice, tls_client_certificate_bound_access_tokens: wrong }),
      [/bound_access_tokens must be true$/],
      String(wrong),
    )
})

t.test('parses tls_session_bound_access_tokens as level proof only (N-61)', async t => {
  const proofOnly = { ...alice, tls_session_bound_access_tokens: true, token_bindings: undefined }
  t.same(read(proofOnly).clients.get('alice')?.bindings, ['proof'])
  t.same(read({ ...proofOnly, token_bindings: ['proof'] }).clients.get('alice')?.bindings, ['proof'], 'given twice')
  t.same(read({ ...alice, tls_session_bound_access_tokens: false }).problems, [], 'false is the default')
  for (const token_bindings of [['certificate'], ['proof', 'certificate'], ['connection']])
    t.match(
      problemsOf({ ...proofOnly, token_bindings }),
      [/token_bindings must be \["proof"\] when/],
      String(token_bindings),
    )
  for (const wrong of ['true', 1, null, ['proof']])
    t.match(problemsOf({ ...alice, tls_session_bound_access_tokens: wrong }), [/true or false/])
})

t.test('applies defaults: no scope, one grant type, signed tokens bound to the connection', async t => {
  const { clients, problems } = read({
    client_id: 'a',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'a.test',
  })
  t.same(problems, [])
  const grantTypes = new Set(['client_credentials'])
  t.match(clients.get('a'), { grantTypes, bindings: ['connection'], format: 'jwt' })
  t.equal(clients.get('a')?.scope.size, 0)
  t.match(clients.get('a'), { rotation: 'rotate', resource: undefined, certificates: new Set() })
})

t.test('accepts only the allowed values of a member, and of each item of a list', async t => {
  const members: Readonly<Record<string, { good: unknown[]; wrong: unknown[] }>> = {
    client_id: { good: ['.a', '..a', 'a.', '...', 'x'.repeat(128)], wrong: ['.', '..', '', 'ä', 'x'.repeat(129), 7] },
    theft_response: { good: ['record', 'close'], wrong: ['', 'revoke', null, ['alert']] },
    grant_types: { good: [['refresh_token', 'client_credentials']], wrong: [['client_credentials', 'password'], []] },
    resource: { good: ['https://a.test/'], wrong: ['urn:https://a.test/', 'http://a.test/', 'https://a.test/#b'] },
  }
  for (const [name, { good, wrong }] of Object.entries(members)) {
    for (const value of good) t.same(problemsOf({ ...alice, [name]: value }), [], `${name} ${value}`)
    for (const value of wrong)
      t.match(problemsOf({ ...alice, [name]: value }), [new RegExp(`${name} (must|can)`)], `${name} ${value}`)
  }
})

t.test('rejects a key that differs from its certificate (RFC 7517 §4.7)', async t => {
  const certified = (pair: { publicKey: X509Certificate['publicKey'] }) => pair as unknown as X509Certificate
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = pair.publicKey.export({ format: 'jwk' })
  for (const key of [jwk, {}, { kty: 'EC' }]) t.ok(agreesWith(key, certified(pair)), 'control')
  t.notOk(agreesWith({ ...jwk, x: jwk.y as string }, certified(pair)))
  const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 })
  t.notOk(agreesWith({ kty: 'EC' }, certified(dsa)), 'a key that has no JWK form')
})

t.test('requires exactly one name of a client (N-22)', async t => {
  const names = { subject_dn: 'CN=a', san_dns: 'a.test', san_uri: 'urn:a', san_ip: '192.0.2.1', san_email: 'a@a.test' }
  const expected = /exactly one of tls_client_auth_subject_dn, .*tls_client_auth_san_email must be given/
  t.match(problemsOf(nameless), [expected])
  for (const type of subjectRules) {
    const { clients, problems } = read({ ...nameless, [`tls_client_auth_${type}`]: names[type] })
    t.same(problems, [], type)
    t.match(clients.get('alice')?.subject, { type })
    for (const other of subjectRules)
      if (other !== type)
        t.match(
          problemsOf({
            ...nameless,
            [`tls_client_auth_${type}`]: names[type],
            [`tls_client_auth_${other}`]: names[other],
          }),
          [expected],
          `${type} and ${other}`,
        )
  }
})

t.test('requires a name in the format of its rule', async t => {
  const good = {
    subject_dn: ['CN=alice', 'CN=alice,O=Example\\, Inc.', '2.5.4.3=alice'],
    san_dns: ['a', 'a.test', 'A-1.test', 'xn--rzte-koa.test', '1.2.3.4', `${'a'.repeat(63)}.test`],
    san_uri: ['urn:example:alice', 'spiffe://example.org/alice', 'https://a.test/x?y#z'],
    san_ip: ['192.0.2.1', '::1', '2001:db8::1', '::ffff:192.0.2.1'],
    san_email: ['a@a.test', 'a+b@a.test', 'ärzte@a.test'],
  }
  const wrong: Record<keyof typeof good, unknown[]> = {
    subject_dn: ['', 'alice', 'CN=', 'CN=alice,', 'NOPE=alice', 'CN=\\FF', 'CN=#00'],
    san_dns: [
      '',
      '.a.test',
      'a.test.',
      '*.test',
      '*',
      'a..test',
      '-a.test',
      'a_b.test',
      'a.test\0',
      'a test',
      'ä.test',
      `${'a'.repeat(64)}.test`,
    ],
    san_uri: ['', 'alice', '/alice', '//a.test/'],
    san_ip: ['', 'localhost', '192.0.2', '192.0.2.256', '192.0.2.1/32', '01.2.3.4', '[::1]', '::1%lo'],
    san_email: ['', 'alice', '@a.test', 'a@', 'a@b@a.test', 'a b@a.test', 'a@a.test\n', 'a\0@a.test', 'a@ä.test'],
  }
  for (const type of subjectRules) {
    const name = `tls_client_auth_${type}`
    for (const value of good[type]) t.same(problemsOf({ ...nameless, [name]: value }), [], `${name} ${value}`)
    for (const value of [...wrong[type], null, 0, true, ['a'], {}])
      t.match(
        problemsOf({ ...nameless, [name]: value }),
        [`client "alice": ${name} is not a`],
        `${name} ${JSON.stringify(value)}`,
      )
  }
})

t.test('validates every other member, and reports each fault (ASVS 10.4.16)', async t => {
  const mistakes: [object, RegExp][] = [
    [{ client_id: undefined }, /^client number 1: client_id must/],
    ...['', 'ä', 'a\n', 'x'.repeat(129)].map((client_id): [object, RegExp] => [
      { client_id },
      /client_id must have 1 to 128 printable/,
    ]),
    [{ client_id: 7 }, /client number 1: client_id/],
    ...[undefined, 'none', 'private_key_jwt', 'client_secret_post', 'toString', ['tls_client_auth']].map(
      (method): [object, RegExp] => [
        { token_endpoint_auth_method: method },
        /auth_method must be one of tls_client_auth, self_signed_tls_client_auth, client_secret_basic$/,
      ],
    ),
    ...[null, '', 'JWT', ['jwt'], 'toString'].map((access_token_format): [object, RegExp] => [
      { access_token_format },
      /access_token_format must be one of jwt, opaque, paseto/,
    ]),
    ...[null, '', 'Client', ['client'], true].map((refresh_token_binding): [object, RegExp] => [
      { refresh_token_binding },
      /refresh_token_binding must be certificate or client/,
    ]),
    ...[null, '', 'Static', ['rotate'], true].map((refresh_token_rotation): [object, RegExp] => [
      { refresh_token_rotation },
      /refresh_token_rotation must be rotate or static/,
    ]),
    ...[null, '', 'api', '/api', 'http://a.test', 'https:', 'https://a.test/#x', 'https://', ['https://a.test']].map(
      (resource): [object, RegExp] => [
        { resource },
        /resource must be an https URL without user information and fragment/,
      ],
    ),
    ...[null, 'x', {}, { keys: [] }].map((jwks): [object, RegExp] => [{ jwks }, /exactly one of tls_client_auth_/]),
    ...[null, 1, ['a'], ' ', 'a  b', 'a a', '"'].map((scope): [object, RegExp] => [
      { scope },
      /scope must be a list of unique values/,
    ]),
    ...[
      null,
      [],
      'client_credentials',
      ['password'],
      ['client_credentials', 'client_credentials'],
      [['client_credentials']],
    ].map((grant_types): [object, RegExp] => [{ grant_types }, /grant_types must be a list/]),
    ...[[], 'connection', ['none'], ['connection', 'connection'], [null], ['toString']].map(
      (token_bindings): [object, RegExp] => [
        { token_bindings },
        /token_bindings must be a list of certificate, proof, connection/,
      ],
    ),
    ...['client_secret', 'Scope', 'tls_client_auth_san_dn', 'jwks_uri', ''].map((name): [object, RegExp] => [
      { [name]: 'x' },
      new RegExp(`alice": ${name} is not known`),
    ]),
  ]
  t.same(problemsOf(alice), [])
  for (const [changes, sentence] of mistakes) {
    const { problems, clients } = read({ ...alice, ...changes })
    t.equal(problems.length, 1, JSON.stringify(changes))
    t.match(problems[0], sentence)
    t.equal(clients.size, 0, 'the client is left out')
  }
  t.equal(problemsOf({ client_id: '', scope: 1, x: 1 }).length, 5, 'all faults of one registration')
  t.match(
    problemsOf({ ...alice, scope: 1 }, { ...alice, client_id: 'bob', scope: 2 }),
    [/alice.*scope/, /bob.*scope/],
    'the faults of all registrations',
  )
  t.match(problemsOf(JSON.parse('{"__proto__":{"client_id":"x"}}')), [
    /__proto__ is not known/,
    /client_id/,
    /auth_method/,
    /exactly one/,
  ])
})

t.test('rejects anything but a list of objects', async t => {
  for (const list of [undefined, null, {}, 'x', 1, { clients: [alice] }]) {
    const problems: string[] = []
    t.equal(parseClients(list, problems).size, 0)
    t.same(problems, ['the list of clients must be a JSON array'])
  }
  for (const entry of [null, undefined, 'alice', 1, [], [alice]])
    t.same(problemsOf(entry), ['client number 1: must be a JSON object'])
})

t.test('rejects two clients with one id, and two clients that one certificate matches', async t => {
  t.same(problemsOf(alice, { ...alice, tls_client_auth_subject_dn: 'CN=bob' }), ['client alice: registered twice'])
  t.same(problemsOf(alice, { ...alice, client_id: 'bob' }), ['client bob: one certificate would match alice as well'])
  const same = [
    ['subject_dn', 'CN=alice', '2.5.4.3 = alice'],
    ['subject_dn', 'CN=a+UID=7', 'UID=7+CN=a'],
    ['san_ip', '192.0.2.1', '192.0.2.1'],
  ]
  for (const [type, one, two] of same) {
    const of = (id: string, value?: string) => ({ ...nameless, client_id: id, [`tls_client_auth_${type}`]: value })
    t.same(
      problemsOf(of('a', one), of('b', two)),
      ['client b: one certificate would match a as well'],
      `${one} and ${two}`,
    )
  }
  t.same(
    problemsOf(
      { ...nameless, tls_client_auth_san_dns: 'a.test' },
      { ...nameless, client_id: 'b', tls_client_auth_san_uri: 'a:test' },
    ),
    [],
  )
})

t.test('rejects two spellings of one resource, or of the audience of the server', async t => {
  const of = (id: string, resource?: string) => ({
    ...{ ...nameless, client_id: id, tls_client_auth_subject_dn: `CN=${id}` },
    ...(resource !== undefined && { resource }),
  })
  const read = (audience: string | undefined, ...list: object[]) => {
    const problems: string[] = []
    parseClients(list, problems, audience)
    return problems
  }
  for (const [one, two] of [
    ['https://a.test', 'https://a.test/'],
    ['https://a.test/', 'https://a.test'],
    ['https://a.test?b=c', 'https://a.test/?b=c'],
    ['https://a.test', 'https://A.test'],
    ['https://a.test/b', 'https://a.test:443/b'],
  ] as const) {
    const problem = `resource ${two} is another spelling of ${one}, the resource of client a; write both alike`
    t.same(read(undefined, of('a', one), of('c'), of('b', two)), [`client b: ${problem}`])
    t.same(read(two, of('a', one)), [
      `client a: resource ${one} is another spelling of ${two}, the audience of this server; write both alike`,
    ])
    t.same(read(one, of('a', one), of('b', one)), [], 'control: one spelling of one target')
  }
  for (const two of ['https://a.test/b/', 'https://a.test/B', 'https://a.test:8443/b', 'https://a.test/b?c'])
    t.same(read(undefined, of('a', 'https://a.test/b'), of('b', two)), [], `control: ${two} is another target`)
})

t.test('treats different spellings of an address, host or domain as one name (N-22)', async t => {
  const same = [
    ['san_ip', '::1', '0:0:0:0:0:0:0:1'],
    ['san_ip', '2001:db8::1', '2001:DB8::0001'],
    ['san_dns', 'a.test', 'A.Test'],
    ['san_email', 'a@a.test', 'a@A.test'],
  ]
  for (const [type, one, two] of same) {
    const of = (id: string, value?: string) => ({ ...nameless, client_id: id, [`tls_client_auth_${type}`]: value })
    t.same(
      problemsOf(of('a', one), of('b', two)),
      ['client b: one certificate would match a as well'],
      `${one} and ${two}`,
    )
  }
  const emails = [
    { ...nameless, tls_client_auth_san_email: 'a@a.test' },
    { ...nameless, client_id: 'b', tls_client_auth_san_email: 'A@a.test' },
  ]
  t.same(problemsOf(...emails), [], 'the local part of an email address is case-sensitive')
})

const [anna, other] = ['anna', 'other'].map(name => issueCertificate({ subject: [['CN', name]] })) as [
  Identity,
  Identity,
]
const x5c = (...certificates: { raw: Buffer }[]) => ({ x5c: certificates.map(({ raw }) => raw.toString('base64')) })
const selfSigned = (keys: unknown, changes: object = {}) => ({
  client_id: 'anna',
  token_endpoint_auth_method: 'self_signed_tls_client_auth',
  jwks: { keys },
  ...changes,
})

t.test('identifies a self-signed client by the first certificate of each of its keys (N-23)', async t => {
  const next = issueCertificate({ subject: [['CN', 'anna']] })
  const thumbprint = ({ raw }: { raw: Buffer }) => hash('sha256', raw, 'base64url')
  const { clients, problems } = read(selfSigned([x5c(anna.x509, next.x509), { kty: 'EC', ...x5c(next.x509) }]))
  t.same(problems, [])
  t.same(clients.get('anna')?.certificates, new Set([thumbprint(anna.x509), thumbprint(next.x509)]))
  t.equal(clients.get('anna')?.subject, undefined, 'it has no name')
  const one = read(selfSigned([x5c(anna.x509, next.x509)])).clients.get('anna')
  t.same(one?.certificates, new Set([thumbprint(anna.x509)]), 'later certificates of a chain do not count')

  const expected = [/client "anna": jwks must contain keys with a certificate in x5c, and tls_client_auth_/]
  const der = anna.x509.raw.toString('base64')
  for (const keys of [
    ...[undefined, null, 'x', {}, [], [null], [{}], [{ x5c: null }], [{ x5c: [] }], [{ x5c: der }], [{ x5c: [''] }]],
    ...[[{ x5c: [null] }], [{ x5c: [{}] }], [{ x5c: [der.slice(0, -8)] }], [{ x5c: ['AAAA', der] }]],
    [x5c(anna.x509), { kty: 'EC' }],
  ])
    t.match(problemsOf(selfSigned(keys)), expected, JSON.stringify(keys)?.slice(0, 60))
  for (const jwks of [undefined, null, 'x', []])
    t.match(problemsOf(selfSigned([], { jwks })), expected, JSON.stringify(jwks))
  t.match(problemsOf(selfSigned([x5c(anna.x509)], { tls_client_auth_subject_dn: 'CN=anna' })), expected)
})

t.test('rejects a key that is not the key of its certificate (RFC 7517 §4.7)', async t => {
  const rsa = issueCertificate({ subject: [['CN', 'rsa']], keyType: 'rsa' })
  const jwk = (identity: Identity) => identity.x509.publicKey.export({ format: 'jwk' })
  for (const identity of [anna, rsa]) {
    t.same(problemsOf(selfSigned([{ ...jwk(identity), kid: '1', use: 'sig', ...x5c(identity.x509) }])), [], 'control')
    const members = Object.entries(jwk(identity)) as [string, string][]
    const changed = members.map(([name, value]) => ({ [name]: `${value[0] === 'A' ? 'B' : 'A'}${value.slice(1)}` }))
    const rows = [
      jwk(other),
      jwk(identity === anna ? rsa : anna),
      ...changed,
      { d: undefined, kty: null },
      { x: 1, n: 1 },
    ]
    for (const members of rows)
      t.same(
        problemsOf(selfSigned([x5c(anna.x509), { ...jwk(identity), ...members, ...x5c(identity.x509) }])),
        ['client "anna": a key in jwks differs from the key of its certificate in x5c (RFC 7517 §4.7)'],
        JSON.stringify(members),
      )
  }
})

t.test('rejects one certificate for two clients, but not for a new registration of the same client', async t => {
  const one = selfSigned([x5c(anna.x509)])
  t.same(problemsOf(one, selfSigned([x5c(anna.x509)], { client_id: 'eve' })), [
    'client eve: one certificate would match anna as well',
  ])
  t.same(problemsOf(one, selfSigned([x5c(other.x509)], { client_id: 'eve' })), [])
  const { clients } = read(one, alice)
  const rivalOf = (registration: unknown) => {
    const client = parseClient(registration, problem => t.fail(problem))
    return client && findRival(client, clients)?.id
  }
  t.equal(rivalOf(one), undefined, 'a new registration of the same client')
  t.equal(rivalOf({ ...one, client_id: 'eve' }), 'anna')
  t.equal(rivalOf({ ...alice, client_id: 'eve' }), 'alice')
})

t.test('requires a certificate name of a client with a secret as well', async t => {
  const secret = { ...alice, token_endpoint_auth_method: 'client_secret_basic' }
  t.match(read(secret).clients.get('alice'), { method: 'client_secret_basic', subject: { type: 'subject_dn' } })
  const { tls_client_auth_subject_dn: _, ...without } = secret
  t.match(problemsOf(without), [/exactly one of/])
})

t.test('parses the members that this server defines', async t => {
  const changes = { access_token_format: 'opaque', refresh_token_rotation: 'static', resource: 'https://a.test/x?y' }
  const { clients, problems } = read({ ...alice, ...changes, grant_types: ['refresh_token', 'client_credentials'] })
  t.same(problems, [])
  t.match(clients.get('alice'), { format: 'opaque', rotation: 'static', resource: 'https://a.test/x?y' })
})

t.test('parses arbitrary JSON into clients and problems', async t => {
  const entry = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...Object.keys(alice)), fc.jsonValue()).map(changes => ({ ...alice, ...changes })),
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(entry)), list => {
      const problems: string[] = []
      const clients = parseClients(list, problems)
      if (Array.isArray(list) && problems.length === 0 && clients.size !== list.length) return false
      return (
        problems.every(problem => problem !== '') &&
        [...clients].every(([id, client]) => id === client.id && client.bindings.length > 0)
      )
    }),
    { numRuns: 1000 },
  )
  t.equal(read(alice).clients.size, 1)
})
