// Registrations of clients: read whole, with a sentence for each thing that is wrong.
// N-22; RFC 7591 §2, RFC 8705 §2.1.2.
import fc from 'fast-check'
import t from 'tap'
import { readClients, subjectRules } from '../../src/core/client.ts'
import { parseName } from '../../src/core/distinguished-name.ts'

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
  const clients = readClients(list, problems)
  return { clients, problems }
}
const problemsOf = (...list: unknown[]) => read(...list).problems

t.test('a registration becomes a client', async t => {
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
    subject: { type: 'subject_dn', value: parseName('CN=alice') },
    scope: new Set(['notes:read', 'notes:write']),
    grantTypes: new Set(['client_credentials']),
    bindings: ['certificate', 'connection'],
  })
  t.ok(Object.isFrozen(clients.get('alice')))
  t.same(read().clients.size, 0, 'an empty list is a list')
})

t.test('what is left out has a default: no scope, the one grant, tokens of the connection', async t => {
  const { clients, problems } = read({
    client_id: 'a',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'a.test',
  })
  t.same(problems, [])
  t.match(clients.get('a'), { scope: new Set(), grantTypes: new Set(['client_credentials']), bindings: ['connection'] })
})

t.test('N-22: a client has exactly one name to be known by', async t => {
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

t.test('a name is of the form of its rule', async t => {
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

t.test('every other part is checked too, and each mistake is named', async t => {
  const mistakes: [object, RegExp][] = [
    [{ client_id: undefined }, /^client number 1: client_id must/],
    ...['', 'ä', 'a\n', 'x'.repeat(129)].map((client_id): [object, RegExp] => [
      { client_id },
      /client_id must have 1 to 128 printable/,
    ]),
    [{ client_id: 7 }, /client number 1: client_id/],
    ...[undefined, 'none', 'private_key_jwt', 'self_signed_tls_client_auth', ['tls_client_auth']].map(
      (method): [object, RegExp] => [
        { token_endpoint_auth_method: method },
        /token_endpoint_auth_method must be tls_client_auth/,
      ],
    ),
    ...[null, 1, ['a'], ' ', 'a  b', 'a a', '"'].map((scope): [object, RegExp] => [{ scope }, /scope must be words/]),
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
        /token_bindings must be a list of certificate, connection/,
      ],
    ),
    ...['client_secret', 'Scope', 'tls_client_auth_san_dn', 'jwks', ''].map((name): [object, RegExp] => [
      { [name]: 'x' },
      new RegExp(`alice": ${name} is not known`),
    ]),
  ]
  t.same(problemsOf(alice), [])
  for (const [changes, sentence] of mistakes) {
    const { problems, clients } = read({ ...alice, ...changes })
    t.equal(problems.length, 1, JSON.stringify(changes))
    t.match(problems[0], sentence)
    t.equal(clients.size, 0, 'and it is no client')
  }
  t.equal(problemsOf({ client_id: '', scope: 1, x: 1 }).length, 5, 'all mistakes of one registration')
  t.match(
    problemsOf({ ...alice, scope: 1 }, { ...alice, client_id: 'bob', scope: 2 }),
    [/alice.*scope/, /bob.*scope/],
    'and of all',
  )
  t.match(problemsOf(JSON.parse('{"__proto__":{"client_id":"x"}}')), [
    /__proto__ is not known/,
    /client_id/,
    /auth_method/,
    /exactly one/,
  ])
})

t.test('what is no list of objects is said to be none', async t => {
  for (const list of [undefined, null, {}, 'x', 1, { clients: [alice] }]) {
    const problems: string[] = []
    t.equal(readClients(list, problems).size, 0)
    t.same(problems, ['the list of clients must be a JSON array'])
  }
  for (const entry of [null, undefined, 'alice', 1, [], [alice]])
    t.same(problemsOf(entry), ['client number 1: must be a JSON object'])
})

t.test('no two clients have one id, and no certificate is good for two clients', async t => {
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

t.test('N-22: two spellings of one address, host or domain are one name', async t => {
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
  t.same(problemsOf(...emails), [], 'two people may differ in one capital letter')
})

t.test('no JSON whatever is anything but clients and problems', async t => {
  const entry = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...Object.keys(alice)), fc.jsonValue()).map(changes => ({ ...alice, ...changes })),
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(entry)), list => {
      const problems: string[] = []
      const clients = readClients(list, problems)
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
