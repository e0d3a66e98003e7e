// The attacks on a token (JW, CB, HT) with the tokens of every identity provider and its profile: each row is one change of a
// token that is accepted, and none of them is accepted, nor answered with 500 or more. RFC 8725 §3, RFC 8705 §3, RFC 9068 §4; I2.
// JW01 – JW07, JW09 – JW11, JW14 – JW16, JW19, JW20, JW22 – JW24, JW27, JW28; CB02, CB03, CB16, CB20, CB26; HT01, HT02.
import {
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  sign as signOctets,
  X509Certificate,
} from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import t from 'tap'
import { createVerifier, type Verifier } from 'tlsbound'
import { readCertificate } from '../../../src/core/presenter.ts'
import type { Answer } from '../../../src/testing/connection.ts'
import { type ResolvedProfile, resolveProfile } from '../../../src/verify/issuer-profiles.ts'
import {
  type Changes,
  claimsOf,
  cnf,
  ec,
  type Fixture,
  fixtures,
  keys,
  now,
  pki,
  rsa,
  startVerifying,
} from '../../helpers/tokens/issuer-fixtures.ts'

let verifier: Verifier
let warnings: string[] = []
const connect = await startVerifying(t, () => verifier)
const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 })
const thumbprint = cnf['x5t#S256']

/** Counts connections: no verifier may open one because of a token. */
let visits = 0
const canary = createServer(socket => {
  visits++
  socket.destroy()
})
await new Promise<void>(listening => canary.listen(0, '127.0.0.1', listening))
t.teardown(() => canary.close())
const away = `https://localhost:${(canary.address() as AddressInfo).port}/jwks`

/** `token`: a function if its times must be near that of its use. */
type Row = readonly [name: string, token: string | (() => string)]

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token whose signature is made by `by` over the encoded header and claims. */
function forge(header: unknown, claims: unknown, by: (input: Buffer) => Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${by(Buffer.from(input)).toString('base64url')}`
}
const rs256 = (input: Buffer, key: KeyObject = rsa.privateKey) => signOctets('sha256', input, key)
const es256 = (input: Buffer) => signOctets('sha256', input, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })

/** A fixture with changes, signed by RS256; `payload` may be the text of the claims. Undefined members are absent. */
function sign(fixture: Fixture, changes: Omit<Changes, 'payload'> & { payload?: object | string } = {}): string {
  const { header, payload, key } = changes
  const body = typeof payload === 'string' ? payload : { ...claimsOf(fixture), ...payload }
  return forge({ ...fixture.header, kid: 'r', ...header }, body, input => rs256(input, key))
}

function signatures(fixture: Fixture, good: string): Row[] {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const head = { ...fixture.header, kid: 'r' }
  const claims = claimsOf(fixture)
  const spki = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' })
  const jwk = rsa.publicKey.export({ format: 'jwk' })
  const secrets: Readonly<Record<string, string | Buffer>> = {
    ...{
      PEM: spki,
      'PEM without its end': spki.trim(),
      DER: der,
      base64: der.toString('base64'),
      hex: der.toString('hex'),
    },
    'PKCS #1': rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    ...{ JWK: JSON.stringify(jwk), 'JWK with kid': JSON.stringify(keys[0]), JWKS: JSON.stringify({ keys }) },
    ...{ modulus: Buffer.from(jwk.n as string, 'base64url'), n: jwk.n as string, nothing: '' },
  }
  const ecToken = (by: (input: Buffer) => Buffer) => forge({ ...head, alg: 'ES256', kid: 'e' }, claims, by)
  const half = Buffer.alloc(32)
  return [
    ...['none', 'None', 'nOnE', '', null, undefined, 'RS256 ', 'rs256', 'HS1', 7, ['RS256'], {}].flatMap((alg): Row[] =>
      ['', signature].map(end => [
        `JW01, JW27: alg ${JSON.stringify(alg)}, signature of ${end.length}`,
        `${encode({ ...head, alg })}.${payload}.${end}`,
      ]),
    ),
    ...['sha256', 'sha384', 'sha512'].flatMap(algorithm =>
      Object.entries(secrets).map(
        ([name, secret]): Row => [
          `JW02: ${algorithm} with the public key as ${name}`,
          forge({ ...head, alg: `HS${algorithm.slice(3)}` }, claims, input =>
            createHmac(algorithm, secret).update(input).digest(),
          ),
        ],
      ),
    ),
    ...['RS384', 'PS256', 'ES256', 'ES256K', 'EdDSA', 'Ed25519', 'HS256'].map(
      (alg): Row => [`JW03: ${alg} over a signature of RS256`, forge({ ...head, alg }, claims, rs256)],
    ),
    [
      'JW03: RS256 over a signature of PS256',
      forge(head, claims, input => signOctets('sha256', input, { key: rsa.privateKey, padding: 6, saltLength: 32 })),
    ],
    [
      'JW03: ES384 by a key on P-256',
      forge({ ...head, alg: 'ES384', kid: 'e' }, claims, input =>
        signOctets('sha384', input, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
      ),
    ],
    ['JW03: ES256 with the kid of the RSA key', forge({ ...head, alg: 'ES256' }, claims, es256)],
    ['JW03: RS256 with the kid of the EC key', forge({ ...head, kid: 'e' }, claims, rs256)],
    ['JW11: r = s = 0', ecToken(() => Buffer.alloc(64))],
    ['JW11: r = 0', ecToken(input => Buffer.concat([half, es256(input).subarray(32)]))],
    ['JW11: DER', ecToken(input => signOctets('sha256', input, ec.privateKey))],
    ['JW11: one octet less', ecToken(input => es256(input).subarray(1))],
    ['JW11: one octet more', ecToken(input => Buffer.concat([es256(input), Buffer.alloc(1)]))],
    ['JW11: another key', forge(head, claims, input => rs256(input, attacker.privateKey))],
    ['JW11: no octet', `${header}.${payload}.`],
  ]
}

function headers(fixture: Fixture, { types }: ResolvedProfile): Row[] {
  const by = (key: KeyObject, header: Record<string, unknown>, name: string): Row => [
    `${name}: ${JSON.stringify(header).slice(0, 60)}`,
    sign(fixture, { header, key }),
  ]
  const own = attacker.publicKey.export({ format: 'jwk' })
  const x5c = [pki.mallory.x509.raw.toString('base64')]
  const isType = (typ: unknown) =>
    types.includes(
      (typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ) as string | undefined,
    )
  const wrongTypes = [
    ...[undefined, 'JWT', 'at+jwt', 'application/at+jwt', 'okta-internal-at+jwt', 'id_token', 'ID', 'refresh+jwt'],
    ...[
      'logout+jwt',
      'dpop+jwt',
      'secevent+jwt',
      'oauth-authz-req+jwt',
      'token-introspection+jwt',
      'binding-proof+jwt',
    ],
    ...[
      'at+jwt ',
      'application/',
      'application/application/at+jwt',
      'text/at+jwt',
      '',
      7,
      true,
      null,
      [],
      ['at+jwt'],
      {},
    ],
    ...['\u0430t+jwt', 'at\u0000+jwt', 'toString', '__proto__'],
  ].filter(typ => !isType(typ))
  return [
    ...['r', 'x', undefined].flatMap(kid => [
      by(attacker.privateKey, { kid, jwk: own }, 'JW04'),
      by(attacker.privateKey, { kid, jku: away }, 'JW05'),
      by(attacker.privateKey, { kid, x5u: away }, 'JW05'),
      by(attacker.privateKey, { kid, x5c }, 'JW06'),
      by(
        attacker.privateKey,
        { kid, 'x5t#S256': readCertificate(new X509Certificate(pki.mallory.certificate)).thumbprint },
        'JW06',
      ),
    ]),
    ...[
      'x',
      '',
      '../../dev/null',
      "' UNION SELECT 1 --",
      '__proto__',
      'constructor',
      '\u0000',
      'k'.repeat(6000),
      'R',
      'r ',
      null,
      7,
      true,
      [],
      ['r'],
      {},
    ].map(kid => by(rsa.privateKey, { kid }, 'JW07')),
    ...[['exp'], ['exp', 'exp'], ['b64']].map(crit => by(rsa.privateKey, { crit, exp: 1, b64: true }, 'JW09')),
    ...[[], ['x'], ['alg'], 'exp', null, {}, 0].map(
      (crit): Row => [`JW09: crit ${JSON.stringify(crit)}`, sign(fixture, { header: { crit } })],
    ),
    ...[false, true, null].map((b64): Row => [`JW09: b64 ${b64} without crit`, sign(fixture, { header: { b64 } })]),
    ...wrongTypes.map((typ): Row => [`JW10: typ ${JSON.stringify(typ)}`, sign(fixture, { header: { typ } })]),
    ...['[]', 'null', '7', '"x"', '{', '{}', ''].map(
      (header): Row => [`JW27: the header ${header}`, forge(header, claimsOf(fixture), rs256)],
    ),
  ]
}

function spellings(fixture: Fixture, good: string): Row[] {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const segments = { protected: header, payload, signature }
  const head = { ...fixture.header, kid: 'r' }
  const nested = forge({ ...head, cty: 'JWT' }, good, rs256)
  const deflated = deflateRawSync(JSON.stringify(claimsOf(fixture)))
  const zipped = `${encode({ ...head, zip: 'DEF' })}.${deflated.toString('base64url')}`
  return [
    ...['=', '.', '.x', '..', '.e30', 'A'].map((end): Row => [`JW14: ${end} behind it`, good + end]),
    ['JW14: a segment before it', `e30.${good}`],
    ['JW14: a dot before it', `.${good}`],
    ['JW14: padding in its header', `${header}=.${payload}.${signature}`],
    [
      'JW14: base64 in the place of base64url',
      `${header}.${Buffer.from(payload, 'base64url').toString('base64')}/.${signature}`,
    ],
    ['JW14: in lower case', good.toLowerCase()],
    ['JW14: without its signature', `${header}.${payload}`],
    ['JW14: its claims alone', payload],
    ['JW14: nothing', '..'],
    ['JW15: five segments', `${header}.e30.${payload}.e30.${signature}`],
    ['JW15: encrypted', `${encode({ alg: 'RSA-OAEP', enc: 'A128GCM' })}.AA.AA.AA.AA`],
    ['JW15: a token in a token', nested],
    ['JW15: compressed claims', `${zipped}.${rs256(Buffer.from(zipped)).toString('base64url')}`],
    ['JW16: flattened JSON', JSON.stringify(segments)],
    ['JW16: general JSON', JSON.stringify({ payload, signatures: [{ protected: header, signature }] })],
    ['JW20: too long', sign(fixture, { payload: { padding: 'x'.repeat(8192) } })],
  ]
}

function claims(fixture: Fixture, profile: ResolvedProfile): Row[] {
  const { payload } = fixture
  const { clientClaims, maximumLifetime, optional, idClaim } = profile
  const iss = payload.iss as string
  const row = (name: string, changes: Record<string, unknown>): Row => [
    `${name}: ${JSON.stringify(changes, (_key, value) => (value === undefined ? 'absent' : value)).slice(0, 80)}`,
    sign(fixture, { payload: changes }),
  ]
  const text = (name: string, member: string, value: string): Row => [
    `${name}: ${member} ${value}`,
    sign(fixture, {
      payload: `{${JSON.stringify(member)}:${value},${JSON.stringify({ ...claimsOf(fixture), [member]: undefined }).slice(1)}`,
    }),
  ]
  const without = (...names: string[]) => Object.fromEntries(names.map(name => [name, undefined]))
  const jwkThumbprint = createHash('sha256')
    .update(pki.alice.x509.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  const bobs = readCertificate(new X509Certificate(pki.bob.certificate)).thumbprint
  const hex = Buffer.from(thumbprint, 'base64url').toString('hex')
  const confirmations: readonly unknown[] = [
    ...[undefined, null, 7, true, 'x', thumbprint, [], [cnf], {}, { jkt: thumbprint }, { 'x5t#S256': jwkThumbprint }],
    ...[{ 'x5t#S256': bobs }, { 'x5t#S256': `${thumbprint}=` }, { 'x5t#S256': hex }, { 'x5t#S256': [thumbprint] }],
    ...[{ 'x5t#S256': null }, { 'x5t#S256': '' }, { 'X5T#S256': thumbprint }, { x5t: thumbprint }, { kid: 'r' }],
    ...[{ jwk: pki.alice.x509.publicKey.export({ format: 'jwk' }) }, { 'x5t#S256': thumbprint.toLowerCase() }],
    ...['jkt', 'jwk', 'kid', 'jku', 'x5t', 'tls-exporter#S256', 'tls-unique#S256', 'unknown'].map(name => ({
      ...cnf,
      [name]: thumbprint,
    })),
  ]
  const expired = Number(payload.exp) - Number(payload.iat ?? 0)
  return [
    ...confirmations.map(value => row('CB16, binding', { cnf: value })),
    [
      'JW19: cnf of the prototype',
      sign(fixture, {
        payload: `{"__proto__":${JSON.stringify({ cnf })},${JSON.stringify({ ...claimsOf(fixture), cnf: undefined }).slice(1)}`,
      }),
    ],
    ...['iss', 'aud', 'exp'].map(
      (name): Row => [
        `JW19: ${name} of the prototype`,
        sign(fixture, {
          payload: `{"__proto__":${JSON.stringify({ [name]: claimsOf(fixture)[name] })},${JSON.stringify({ ...claimsOf(fixture), [name]: undefined }).slice(1)}`,
        }),
      ],
    ),
    ...['1e400', '-1e20', '-1', '0', '"1"', `"${now + 60}"`, 'true', `[${now + 60}]`, 'null', '{}', `${now - 1}`].map(
      value => text('JW22', 'exp', value),
    ),
    row('JW22', { exp: undefined }),
    ...['1e400', '1e300', '"1"', 'true', '[1]', 'null', '-1'].map(value => text('JW22', 'nbf', value)),
    ...['1e400', '-1e20', '"1"', 'true', '[1]', 'null', `${now + 31_536_000}`].map(value => text('JW22', 'iat', value)),
    ...(optional.includes('iat') ? [] : [row('JW22', { iat: undefined })]),
    row('JW22: too long a lifetime', { iat: now, exp: now + maximumLifetime + 1 }),
    row('JW22: expired after its usual time', { iat: now - expired - 10, exp: now - 10 }),
    ['JW28: nbf in a minute', () => sign(fixture, { payload: { nbf: Math.floor(Date.now() / 1000) + 60 } })],
    ...[
      undefined,
      null,
      '',
      [],
      {},
      7,
      true,
      ['https://evil.example'],
      [['https://api.example']],
      { 0: 'https://api.example' },
    ].map(aud => row('JW23', { aud })),
    ...[
      'https://api.example/',
      'https://api.exampl',
      'https://api.example.evil',
      'HTTPS://API.EXAMPLE',
      'https://\u0430pi.example',
      ' https://api.example',
    ].map(aud => row('JW23', { aud })),
    ...[
      undefined,
      null,
      '',
      [],
      [iss],
      {},
      7,
      iss.toUpperCase(),
      iss.endsWith('/') ? iss.slice(0, -1) : `${iss}/`,
      `${iss}x`,
      ` ${iss}`,
    ].map(other => row('JW24', { iss: other })),
    ...['at_hash', 'c_hash', 's_hash'].map(name => row('an ID token', { [name]: 'x' })),
    ...['nonce', 'auth_time'].map(name =>
      row('an ID token', { ...without(...clientClaims.filter(claim => claim !== 'sub')), [name]: 'x' }),
    ),
    row('a logout token', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }),
    ...['ID', 'Refresh', 'Offline', 'Logout', 'Serialized-ID', '', 7, null, ['Bearer']].map(typ =>
      row('another token', { typ }),
    ),
    ...['id', 'refresh', 'bearer x', 7, null].map(token_use => row('another token', { token_use })),
    ...(optional.includes('id') ? [] : [row('no id', { [idClaim]: undefined })]),
    ...[7, '', null, [], {}].map(id => row('an id of another type', { [idClaim]: id })),
    ...[7, [], {}, null, '', 'x'.repeat(300)].map(sub => row('a sub of another type', { sub })),
  ]
}

for (const fixture of fixtures)
  t.test(`${fixture.issuer}, profile ${fixture.profile}: accepts no changed token`, async t => {
    const alice = await connect('alice')
    warnings = []
    const profile = resolveProfile(fixture.profile)
    const options = { audience: 'https://api.example', profile: fixture.profile, jwks: { keys } }
    verifier = createVerifier({
      ...{ ...options, issuer: fixture.payload.iss as string },
      onWarning: message => warnings.push(message),
    })
    const good = sign(fixture)
    const accept = async (name: string, token = good) => t.match(await alice.get('/', token), { status: 200 }, name)
    await accept('control')
    await accept('control: made by hand', forge({ ...fixture.header, kid: 'r' }, claimsOf(fixture), rs256))
    await accept(
      'control: by the EC key',
      forge({ ...fixture.header, alg: 'ES256', kid: 'e' }, claimsOf(fixture), es256),
    )
    await accept('control: without kid, by a key of the set', sign(fixture, { header: { kid: undefined } }))
    await accept(
      'control: one of two audiences',
      sign(fixture, { payload: { aud: ['https://x.example', 'https://api.example'] } }),
    )
    await accept(
      'control: ignored header members',
      sign(fixture, { header: { jku: away, x5u: away, x5c: ['x'], cty: 'JWT' } }),
    )
    for (const type of profile.types)
      for (const typ of type === undefined ? [type] : [type, type.toUpperCase(), `application/${type}`])
        await accept(`control: typ ${typ}`, sign(fixture, { header: { typ } }))

    const rows = [
      ...signatures(fixture, good),
      ...headers(fixture, profile),
      ...spellings(fixture, good),
      ...claims(fixture, profile),
    ]
    const problems: string[] = []
    for (const [name, made] of rows) {
      const token = typeof made === 'string' ? made : made()
      // What is no bearer token at all is a malformed request.
      const allowed = /^[\w.~+/-]+=*$/.test(token) ? [401] : [400, 401]
      const { status } = await alice.get('/', token)
      if (!allowed.includes(status)) problems.push(`${name}: ${status}`)
    }
    // Node's parser answers, or closes the connection before its answer is sent.
    const large = connect('alice').then(own => own.get('/', good + 'x'.repeat(17_000)))
    t.match(
      await large.then(
        ({ status }) => status,
        () => 431,
      ),
      431,
      'JW20: longer than the head of a request',
    )
    t.same(problems, [])
    t.equal(visits, 0, 'no address of a token was visited')
    t.same(warnings, [])
    await accept('control: still')
    t.comment(`tokens: ${rows.length}`)
  })

t.test(
  'each token works with its own certificate only, whatever the request says (CB02, CB03, CB20, CB26)',
  async t => {
    for (const fixture of fixtures) {
      const issuer = fixture.payload.iss as string
      verifier = createVerifier({ issuer, audience: 'https://api.example', profile: fixture.profile, jwks: { keys } })
      const good = sign(fixture)
      const [alice, bob] = await Promise.all([connect('alice', 'h2'), connect('bob', 'h2')])
      const nobody = await connect(null)
      const bobs = sign(fixture, {
        payload: { cnf: { 'x5t#S256': readCertificate(new X509Certificate(pki.bob.certificate)).thumbprint } },
      })
      const mismatch = { status: 401, body: { reason: 'certificate_mismatch' } }
      const name = fixture.issuer
      t.match(await nobody.get('/', good), { status: 401, body: { reason: 'no_certificate' } }, name)
      for (const headers of [
        {},
        { 'x-forwarded-client-cert': `Cert="${encodeURIComponent(pki.alice.certificate)}"` },
        { 'client-cert': `:${pki.alice.x509.raw.toString('base64')}:` },
        { 'x-ssl-client-cert': encodeURIComponent(pki.alice.certificate), 'x-tls-exporter': thumbprint },
        { 'tls-exporter': thumbprint, 'session-binding-proof': good },
      ])
        t.match(await bob.call('/', { headers, token: good }), mismatch, `${name}: ${Object.keys(headers)}`)
      const mixed = await Promise.all(
        Array.from({ length: 6 }, (_, index) => alice.get('/', index % 2 === 0 ? good : bobs)),
      )
      t.same(
        mixed.map(({ status }) => status),
        [200, 401, 200, 401, 200, 401],
        `${name}: by each stream's own token`,
      )
      t.match(await bob.get('/', bobs), { status: 200 }, `${name}: control`)
      t.match(await bob.get('/', good), mismatch)
    }
  },
)

t.test('takes a token from one well-formed Authorization header only (HT01, HT02, HT03)', async t => {
  const alice = await connect('alice')
  for (const fixture of fixtures) {
    const issuer = fixture.payload.iss as string
    verifier = createVerifier({ issuer, audience: 'https://api.example', profile: fixture.profile, jwks: { keys } })
    const good = sign(fixture)
    const { schemes } = resolveProfile(fixture.profile)
    for (const scheme of ['Bearer', 'bearer', ...schemes])
      t.match(await alice.call('/', { headers: { authorization: `${scheme} ${good}` } }), { status: 200 }, 'control')
    const problems: string[] = []
    const expect = async (status: number, name: string, answer: Promise<Answer>) => {
      const found = (await answer).status
      if (found !== status) problems.push(`${name}: ${found}`)
    }
    for (const [status, authorization] of [
      ...(['DPoP', 'Basic', 'JWT', 'Token', 'mtls_pop', 'Bearer,'] as const)
        .filter(scheme => !schemes.includes(scheme))
        .map(scheme => [401, `${scheme} ${good}`] as const),
      ...[good, `,Bearer ${good}`, `Bearer:${good}`].map(text => [401, text] as const),
      ...[
        `Bearer  ${good}`,
        `Bearer\t${good}`,
        `Bearer ${good},Bearer ${good}`,
        `Bearer ${good} x`,
        'Bearer',
        `Bearer "${good}"`,
      ].map(text => [400, text] as const),
    ])
      await expect(status, authorization.replace(good, 'TOKEN'), alice.call('/', { headers: { authorization } }))
    const twice = [`Bearer ${good}`, `Bearer ${good}`]
    await expect(400, 'twice', alice.call('/', { headers: { authorization: twice } }))
    await expect(400, 'in the query as well', alice.get(`/?access_token=${good}`, good))
    await expect(400, 'in the query', alice.get(`/?access_token=${good}`))
    await expect(401, 'in a cookie', alice.call('/', { headers: { cookie: `access_token=${good}` } }))
    const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } }
    await expect(401, 'in a form', alice.call('/', { ...form, body: `access_token=${good}` }))
    t.same(problems, [], fixture.issuer)
  }
})
