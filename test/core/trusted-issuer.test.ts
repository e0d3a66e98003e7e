// The list of trusted issuers: the entries, and one problem for each fault of an entry. RFC 8693 §2.1.
import t from 'tap'
import { parseTrustedIssuers } from '../../src/core/trusted-issuer.ts'

const ours = 'https://as.example'
const profiles = {
  odd: { algorithms: ['PS256', 'ES512'], scopeClaims: ['scp', 'roles'] },
  both: { algorithms: ['ES256', 'v4.public'], scopeClaims: ['scope'] },
}
const entry = { issuer: 'https://idp.example', audience: 'us', jwks_file: 'keys.json' }
const { jwks_file: _, ...bare } = entry
const remote = { ...bare, jwks_uri: 'https://idp.example/jwks' }
const read = (list: unknown) => {
  const problems: string[] = []
  return { issuers: parseTrustedIssuers(list, { ours, profiles }, problems), problems }
}

t.test('parses an entry with its defaults, and freezes it', t => {
  const defaults = {
    algorithms: ['ES256', 'RS256', 'EdDSA'],
    ...{
      issuer: entry.issuer,
      audience: 'us',
      scopeClaims: ['scope'],
      profile: undefined,
      maximumAge: 3600,
      subjectPrefix: '',
    },
  }
  for (const [given, expected] of [
    [entry, { ...defaults, keys: { file: 'keys.json' } }],
    [remote, { ...defaults, keys: { uri: remote.jwks_uri, caFile: undefined } }],
    [bare, { ...defaults, keys: { uri: undefined, caFile: undefined } }],
    [
      { ...bare, ca_file: 'ca.pem' },
      { ...defaults, keys: { uri: undefined, caFile: 'ca.pem' } },
    ],
    [
      { ...entry, profile: 'odd' },
      { ...defaults, ...profiles.odd, profile: 'odd', keys: { file: 'keys.json' } },
    ],
    [
      { ...entry, profile: 'both' }, // without PASETO
      { ...defaults, algorithms: ['ES256'], profile: 'both', keys: { file: 'keys.json' } },
    ],
    [
      { ...entry, profile: 'odd', algorithms: ['ES256'] },
      { ...defaults, ...profiles.odd, profile: 'odd', algorithms: ['ES256'], keys: { file: 'keys.json' } },
    ],
    [
      { ...remote, issuer: 'https://idp.example/?a=b' },
      { ...defaults, issuer: 'https://idp.example/?a=b', keys: { uri: remote.jwks_uri, caFile: undefined } },
    ],
    [
      { ...remote, ca_file: 'ca.pem' },
      { ...defaults, keys: { uri: remote.jwks_uri, caFile: 'ca.pem' } },
    ],
    ...['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(alg => [
      { ...entry, algorithms: [alg], scope_claim: 'scp', maximum_age: 1, subject_prefix: 'x'.repeat(64) },
      {
        ...{ ...defaults, keys: { file: 'keys.json' }, algorithms: [alg] },
        ...{ scopeClaims: ['scp'], maximumAge: 1, subjectPrefix: 'x'.repeat(64) },
      },
    ]),
    [
      { ...entry, maximum_age: 86_400 },
      { ...defaults, keys: { file: 'keys.json' }, maximumAge: 86_400 },
    ],
  ]) {
    const { issuers, problems } = read([given])
    t.same({ issuers, problems }, { issuers: [expected], problems: [] })
    t.ok(Object.isFrozen(issuers[0]))
  }
  t.same(read([]), { issuers: [], problems: [] })
  t.end()
})

t.test('reports an invalid entry by its issuer or index, and leaves it out', t => {
  const wrong: readonly (readonly [about: RegExp, ...entries: unknown[]])[] = [
    [/number 2: must be a JSON object$/, null, 7, 'x', []],
    [/: jwks is not known$/, { ...entry, jwks: {} }],
    [
      /: issuer must be an https address$/,
      ...['http://idp.example', 'idp.example', '', 7, 'https://a@idp.example', 'https://:a@idp.example'].map(
        issuer => ({
          ...entry,
          issuer,
        }),
      ),
      { ...entry, issuer: 'https://idp.example/#a' },
      { ...entry, issuer: ['https://idp.example'] },
    ],
    [/: issuer must not be this server/, { ...entry, issuer: ours }],
    [/: jwks_file and jwks_uri exclude each other$/, { ...remote, ...entry }],
    [
      /: jwks_file or jwks_uri is required, since an issuer with a query/,
      { ...bare, issuer: 'https://idp.example/?a=b' },
    ],
    [
      /: profile must be one of odd, both$/,
      ...['even', '', 7, null, {}, ['odd'], 'toString', '__proto__'].map(profile => ({ ...entry, profile })),
    ],
    [/: scope_claim and profile exclude each other$/, { ...entry, profile: 'odd', scope_claim: 'scp' }],
    [/: jwks_file must be a path$/, { ...entry, jwks_file: '' }, { ...entry, jwks_file: 7 }],
    [/: jwks_uri must be an https address$/, { ...remote, jwks_uri: 'http://idp.example' }, { ...remote, jwks_uri: 7 }],
    [/: ca_file must be a path$/, { ...remote, ca_file: '' }, { ...remote, ca_file: 7 }],
    [/: ca_file and jwks_file exclude each other$/, { ...entry, ca_file: 'ca.pem' }],
    [/: audience must be a string$/, { ...entry, audience: '' }, { ...entry, audience: ['us'] }],
    [
      /: algorithms must be a list of ES256, /,
      ...['ES256', [], ['none'], ['HS256'], ['ES256', 'HS256'], [7]].map(algorithms => ({ ...entry, algorithms })),
    ],
    [/: scope_claim must be/, ...['', 7, null].map(scope_claim => ({ ...entry, scope_claim }))],
    [
      /: maximum_age must be seconds/,
      ...[0, -1, 86_401, 1.5, '60', null].map(maximum_age => ({ ...entry, maximum_age })),
    ],
    [
      /: subject_prefix must have/,
      ...['x'.repeat(65), 'a\nb', 'ä', 7, 'a\n'].map(subject_prefix => ({ ...entry, subject_prefix })),
    ],
  ]
  const other = { ...entry, issuer: 'https://other.example', subject_prefix: 'other:' }
  for (const [about, ...entries] of wrong)
    for (const one of entries) {
      const { issuers, problems } = read([other, one])
      t.match(issuers, [{ issuer: other.issuer }], `control: ${JSON.stringify(one)}`)
      t.match({ count: issuers.length, problems }, { count: 1, problems: [about] }, JSON.stringify(one))
      t.equal(problems.length, 1)
      const { issuer } = (one ?? {}) as { issuer?: unknown }
      t.ok(
        problems[0]?.startsWith(
          typeof issuer === 'string' ? `issuer ${JSON.stringify(issuer)}: ` : 'issuer number 2: ',
        ),
      )
    }
  t.equal(
    read([{ ...entry, audience: '', scope_claim: '', algorithms: [] }]).problems.length,
    3,
    'all problems at once',
  )
  for (const none of [undefined, null, {}, 'x'])
    t.same(read(none), { issuers: [], problems: ['the list of issuers must be a JSON array'] })
  t.end()
})

t.test('requires distinct issuers, with subject prefixes of which none starts with another', t => {
  const list = (...prefixes: (string | undefined)[]) =>
    prefixes.map((subject_prefix, index) => ({
      ...entry,
      issuer: `https://${index}.example`,
      ...(subject_prefix !== undefined && { subject_prefix }),
    }))
  for (const good of [list('a', 'b'), list('a:', 'b:', 'ab:'), list(undefined)]) t.same(read(good).problems, [])
  for (const [entries, names] of [
    [list('a', 'ab'), ['0']],
    [list('ab', 'a'), ['1']],
    [list('a', 'a'), ['0', '1']],
    [list('a', undefined), ['1']],
    [list('a', 'b', 'bc'), ['1']],
  ] as const)
    t.match(
      read(entries).problems,
      names.map(name => new RegExp(`^issuer "https://${name}\\.example": subject_prefix is required`)),
    )
  const { problems } = read([entry, entry])
  t.same(problems, ['issuer "https://idp.example": listed twice'])
  t.end()
})
