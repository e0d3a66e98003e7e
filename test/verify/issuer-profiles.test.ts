// Tokens in the form of each identity provider (test/vectors/issuer-tokens.json), over a real connection: accepted with
// their profile and bound certificate, rejected with another one; and tokens that no profile accepts.
// RFC 8705 §3, RFC 9068 §2, RFC 8725 §3; JW01 – JW10, CL03.
import { createHmac, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createVerifier, type IssuerProfile, type IssuerProfileName, issuerProfiles, type Verifier } from 'tlsbound'
import {
  cnf,
  ec,
  type Fixture,
  fixtures,
  keys,
  now,
  rsa,
  sign,
  startVerifying,
} from '../helpers/tokens/issuer-fixtures.ts'

/** Reason, detail and found value of each refusal. */
const refusals: unknown[][] = []
/** The current verifier, and the server that uses it. */
let verifier: Verifier
const connect = await startVerifying(t, () => verifier)
const [alice, bob] = await Promise.all([connect('alice'), connect('bob')])

const accept = (
  fixture: Fixture,
  profile: IssuerProfileName | IssuerProfile = fixture.profile,
  more: object[] = [],
) => {
  const issuer = fixture.payload.iss as string
  verifier = createVerifier({
    ...{ issuer, audience: 'https://api.example', profile, jwks: { keys: [...more, ...keys] } },
    onRefusal: (_request, { reason, detail, facts }) => refusals.push([reason, detail, facts.found]),
  })
}

for (const fixture of fixtures)
  t.test(`${fixture.issuer}: profile ${fixture.profile}`, async t => {
    accept(fixture)
    const token = await sign(fixture)
    const { status, body } = await alice.get('/', token)
    t.equal(status, 200, JSON.stringify(body))
    t.match(body, { client_id: /^.+$/, sub: /^.+$/, jti: /^.+$/, iat: Number, list: Array }, 'in the names of RFC 9068')
    t.match(await bob.get('/', token), { status: 401, body: { reason: 'certificate_mismatch' } })
    t.match(await alice.get('/', await sign(fixture, { header: { crit: ['exp'], exp: 1 } })), {
      status: 401,
      body: { reason: 'bad_signature' },
    })
    for (const wrong of [
      { cnf: undefined },
      { cnf: { ...cnf, jkt: cnf['x5t#S256'] } },
      { cnf: { ...cnf, 'tls-exporter#S256': cnf['x5t#S256'] } },
      { cnf: { 'x5t#S256': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' } },
      { aud: 'https://other.example' },
      { iss: 'https://other.example' },
      { exp: now - 1 },
      { at_hash: 'x' },
      { events: {} },
      { typ: 'ID' },
      { typ: 'Refresh' },
      { token_use: 'id' },
    ])
      t.match(await alice.get('/', await sign(fixture, { payload: wrong })), { status: 401 }, JSON.stringify(wrong))
    const [head = '', payload = ''] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ alg: 'HS256', typ: fixture.header.typ, kid: 'r' })).toString(
      'base64url',
    )
    const secret = rsa.publicKey.export({ type: 'spki', format: 'pem' })
    const mac = createHmac('sha256', secret).update(`${forged}.${payload}`).digest('base64url')
    t.match(await alice.get('/', `${forged}.${payload}.${mac}`), { status: 401, body: { reason: 'bad_signature' } })
    t.match(await alice.get('/', `${head}.${payload}.`), { status: 401 })
    t.match(await alice.get('/', token), { status: 200 }, 'control')
  })

const [plain] = fixtures.filter(({ issuer }) => issuer === 'node-oidc-provider') as [Fixture]

t.test('has a token for every built-in profile', t => {
  t.same(
    Object.keys(issuerProfiles).filter(name => !fixtures.some(({ profile }) => profile === name)),
    [],
  )
  t.end()
})

t.test('returns the scope as a list, for a string, a list or no scope', async t => {
  for (const [scope, list] of [
    ['a b', ['a', 'b']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [undefined, []],
  ] as const) {
    accept(plain)
    t.match(await alice.get('/', await sign(plain, { payload: { scope } })), { status: 200, body: { list } })
  }
  for (const scope of [['a b'], [1], {}, 7, 'a  b'])
    t.match(await alice.get('/', await sign(plain, { payload: { scope } })), {
      status: 401,
      body: { reason: 'claims_malformed' },
    })
})

t.test('rejects an ID token', async t => {
  accept(plain, { types: ['jwt', 'at+jwt'], clientClaim: 'azp', optional: ['id', 'scope'] })
  const base = { client_id: undefined }
  t.match(await alice.get('/', await sign(plain, { payload: { ...base, azp: 'alice' } })), { status: 200 }, 'control')
  refusals.length = 0
  for (const claim of ['nonce', 'auth_time'])
    t.match(await alice.get('/', await sign(plain, { payload: { ...base, [claim]: 'x' } })), {
      status: 401,
      body: { reason: 'wrong_type' },
    })
  t.same(refusals, [
    ['wrong_type', 'other_token', 'nonce'],
    ['wrong_type', 'other_token', 'auth_time'],
  ])
})

t.test('accepts the scheme mtls_pop with the profiles that have it', async t => {
  const [entra] = fixtures.filter(({ profile }) => profile === 'entra') as [Fixture]
  const authorization = `mtls_pop ${await sign(entra)}`
  accept(entra)
  t.match(await alice.call('/', { headers: { authorization } }), { status: 200 })
  accept(plain)
  t.match(await alice.call('/', { headers: { authorization } }), { status: 401, body: { reason: 'no_token' } })
})

t.test('accepts times with fractions, and either value of s in ES256', async t => {
  accept(plain)
  t.match(await alice.get('/', await sign(plain, { payload: { iat: now + 0.25, exp: now + 60.5 } })), { status: 200 })
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const signed = await sign(plain, { header: { alg: 'ES256', kid: 'e' }, key: ec.privateKey })
  const at = signed.lastIndexOf('.') + 1
  const signature = Buffer.from(signed.slice(at), 'base64url')
  const s = (order - BigInt(`0x${signature.toString('hex', 32)}`)).toString(16).padStart(64, '0')
  const other =
    signed.slice(0, at) + Buffer.concat([signature.subarray(0, 32), Buffer.from(s, 'hex')]).toString('base64url')
  for (const token of [signed, other]) t.match(await alice.get('/', token), { status: 200 })
})

t.test('applies the types, algorithms, claims and limits of a custom profile', async t => {
  const own: IssuerProfile = {
    types: ['x+jwt'],
    algorithms: ['PS256'],
    clientClaim: 'app',
    scopeClaim: 'permissions',
    idClaim: 'id',
    maximumLifetime: 60,
    maximumLength: 2000,
  }
  const changes = {
    header: { typ: 'application/X+JWT', alg: 'PS256' },
    payload: { app: 'a', permissions: ['p'], id: 'i', exp: now + 60, client_id: undefined, jti: undefined },
  }
  accept(plain, own)
  t.match(await alice.get('/', await sign(plain, changes)), {
    status: 200,
    body: { client_id: 'a', jti: 'i', list: ['p'] },
  })
  for (const [header, payload, reason] of [
    [{ typ: 'at+jwt' }, {}, 'wrong_type'],
    [{ alg: 'RS256' }, {}, 'bad_signature'],
    [{}, { app: undefined }, 'claims_malformed'],
    [{}, { exp: now + 61 }, 'claims_malformed'],
    [{}, { padding: 'x'.repeat(2000) }, 'bad_signature'],
  ] as const) {
    const token = await sign(plain, {
      header: { ...changes.header, ...header },
      payload: { ...changes.payload, ...payload },
    })
    t.match(
      await alice.get('/', token),
      { status: 401, body: { reason } },
      JSON.stringify([header, payload]).slice(0, 60),
    )
  }
})

t.test('accepts real-world key sets', async t => {
  const jwk = rsa.publicKey.export({ format: 'jwk' })
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const odd = [
    { ...jwk, use: 'enc', kid: 'r' },
    { kty: 'AKP', alg: 'ML-DSA-44', kid: 'r', pub: 'x' },
    null,
    { ...weak, kid: 'r' },
    { ...jwk, e: 'Aw', kid: 'r' },
    { ...ec.publicKey.export({ format: 'jwk' }), y: jwk.n, kid: 'r' },
    { kty: 'oct', k: 'AA', kid: 'r' },
    { ...jwk, kid: 'x'.repeat(257) },
  ]
  const warnings: string[] = []
  const use = (list: object[], kid?: string, alg = 'RS256') => {
    verifier = createVerifier({
      ...{ issuer: plain.payload.iss as string, audience: 'https://api.example', jwks: { keys: list } },
      onWarning: message => warnings.push(message),
    })
    return sign(plain, { header: { kid, alg } })
  }
  t.match(await alice.get('/', await use([...(odd as object[]), ...keys], 'r')), { status: 200 })
  t.equal(warnings.length, 1)
  t.equal(warnings[0]?.split(';').length, odd.length, 'a warning names each ignored key')
  t.match(warnings[0], /key number 1 \(kid "r"\): its use is not sig; .*key number 3: it is not a JSON object/)
  t.ok(
    warnings[0]?.endsWith(`key number 8 (kid "${'x'.repeat(64)}…"): its kid is not a string of up to 256 characters`),
  )
  for (const [kid, quoted] of [
    ['a\n"b\u001b[31m\u202e', 'a\\u{a}"b\\u{1b}[31m\\u{202e}'],
    ['k'.repeat(64), 'k'.repeat(64)],
    ['', ''],
  ] as const) {
    await use([{ kty: 'AKP', kid }, ...keys])
    t.match(warnings.at(-1), `key number 1 (kid "${quoted}"): it is for none`, quoted)
  }
  await use([{ kty: 'AKP', kid: { toString: 'x' } }, ...keys])
  t.match(warnings.at(-1), 'key number 1: its kid is not a string')
  for (const kid of ['a+/=:@ b', 'CN=Keys, O=Example', 'k'.repeat(200)])
    t.match(await alice.get('/', await use([{ ...jwk, kid }], kid)), { status: 200 }, kid)
  t.match(await alice.get('/', await use([jwk])), { status: 200 }, 'neither key nor token have a kid')
  const others = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  t.match(
    await alice.get(
      '/',
      await use(
        [
          { ...others(), kid: 'r' },
          { ...jwk, kid: 'r' },
        ],
        'r',
      ),
    ),
    { status: 200 },
    'by its type',
  )
  const strangers = [1, 2, 3].map(() =>
    generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }),
  )
  t.match(await alice.get('/', await use([...strangers, jwk])), { status: 200 }, 'the fourth candidate')
  const four = [...strangers, strangers[0] as object, jwk]
  t.match(
    await alice.get('/', await use(four)),
    { status: 401, body: { reason: 'bad_signature' } },
    'no fifth candidate',
  )
  for (const alg of ['RS256', 'RS384', 'RS512', 'PS256'])
    t.match(
      await alice.get(
        '/',
        await use(
          ['RS256', 'RS384', 'RS512'].map(name => ({ ...jwk, alg: name, kid: 'r' })),
          'r',
          alg,
        ),
      ),
      {
        status: alg === 'PS256' ? 401 : 200,
      },
    )
  t.match(await alice.get('/', await use([{ ...jwk, exp: 'never', nbf: 0.5, issuer: 'x' }])), { status: 200 })
})
