// Access tokens that are PASETO: bound, expired and rejected like JWTs, with the same reasons; claims and spelling. CB01, CB02, CB26; JW14,
// JW16, JW19, JW20, JW22, JW23, JW28, LK01, LK11 again for this form. paseto-forgeries.test.ts has the forged ones.
import t from 'tap'
import { generateTokenKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { type Row, refusal, refuseEach, refuseElsewhere, refusePresenter } from '../../helpers/server/refusals.ts'
import { forgePaseto, type PasetoForgery, readPaseto } from '../../helpers/tokens/forge-paseto.ts'
import { claimsFor, encode, forgeToken, issuer } from '../../helpers/tokens/forge-token.ts'
import { register } from '../../helpers/tokens/grants.ts'

const [ec, key] = (await Promise.all((['ES256', 'v4.public'] as const).map(generateTokenKey))) as [TokenJwk, TokenJwk]
const clients = [
  register('alice', { access_token_format: 'paseto', token_bindings: ['connection', 'certificate', 'proof'] }),
  register('bob'),
]
const routes = (app: { get: (path: string, options: object, handler: () => string) => unknown }) =>
  void app.get('/strict', { config: { requireToken: { binding: 'connection' } } }, () => 'strict')
const server = await startTestServer({ clients, signingKeys: [ec, key], routes })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const issue = (wish: Record<string, string> = {}) => alice.token(wish)
const served = { status: 200, body: { client_id: 'alice' } }
const claims = claimsFor(alice, server)
const forge = (more: Partial<PasetoForgery> = {}) => forgePaseto({ jwk: key, claims, ...more })
const withClaims = (more: object) => forge({ claims: { ...claims, ...more } })

t.beforeEach(async t => {
  t.match(await alice.get('/api/whoami', forge()), served, 'control: the same token without a change')
})

t.test('issues v4.public with the claims of RFC 9068, times as date-times, and the id of its key (N-71)', async t => {
  const token = await issue()
  t.match(token, /^v4\.public\.[\w-]+\.[\w-]{82}$/)
  const { claims, footer } = readPaseto(token, key)
  t.same(footer, { kid: key.kid })
  t.same(Object.keys(claims).sort(), 'aud client_id cnf exp grant iat iss jti nbf scope sub'.split(' '))
  t.match(claims, {
    iss: issuer,
    sub: 'alice',
    aud: issuer,
    client_id: 'alice',
    cnf: { 'x5t#S256': String, 'tls-exporter#S256': String },
  })
  const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
  t.match(claims, { iat: iso(server.clock), nbf: iso(server.clock), exp: iso(server.clock + 300) })
  t.match(await alice.requestToken(), {
    status: 200,
    body: { token_type: 'Bearer', expires_in: 300, token_binding: 'connection' },
  })
  t.throws(() => readPaseto(token, key, ''), 'without the implicit assertion it does not verify')
})

t.test('accepts a PASETO only on its connection and with its certificate (CB01, CB02, N-71)', async t => {
  const token = await issue()
  t.match(await alice.get('/api/whoami', token), { ...served, body: { token_binding: 'connection' } })
  t.match(await alice.get('/strict', token), { status: 200 })
  await refuseElsewhere(t, server, token)
  for (const [who, reason] of [
    ['stranger', 'certificate_untrusted'],
    [null, 'no_certificate'],
  ] as const) {
    const before = server.events.length
    await refusePresenter(t, server, who, reason, `${who}`, { stolen: token })
    const ofToken = { reason, client_id: 'alice', jti: readPaseto(token, key).claims.jti }
    t.match(server.events.slice(before).at(-1), ofToken, `${who}: the event names the stolen token`)
  }
  const portable = await issue({ token_binding: 'certificate' })
  const second = await server.connect('alice', { ALPNProtocols: ['h2'] })
  t.match(await second.get('/api/whoami', portable), { ...served, body: { token_binding: 'certificate' } })
  t.match(await second.get('/strict', portable), refusal('binding_too_weak'))
  t.match(await (await server.connect('bob')).get('/api/whoami', portable), refusal('certificate_mismatch'))
  const proven = await issue({ token_binding: 'proof' })
  t.match(await second.get('/api/whoami', proven), refusal('proof_missing', 'use_session_binding' as never))
  t.match(await second.get('/api/whoami', proven, second.prove(proven)), { status: 200 })
})

t.test('decides each request of an HTTP/2 connection by its own token, in any format (CB26)', async t => {
  const stolen = await issue()
  const second = await server.connect('alice', { ALPNProtocols: ['h2'] })
  const [own, jwt] = [await second.token(), forgeToken({ jwk: ec, claims: claimsFor(second, server) })]
  const tokens = [own, stolen, jwt]
  const answers = await Promise.all(
    Array.from({ length: 42 }, (_, index) => second.get('/api/whoami', tokens[index % 3])),
  )
  t.same(
    answers.map(({ status }) => status),
    answers.map((_, index) => (index % 3 === 1 ? 401 : 200)),
  )
})

t.test('has one spelling and a limit of length (JW14, JW16, JW20)', async t => {
  const token = forge()
  const [, , payload = '', footer = ''] = token.split('.')
  const last = payload.at(-1) as string
  await refuseEach(t, server, alice, [
    [
      'the letter after the last one',
      `v4.public.${payload.slice(0, -1)}${String.fromCharCode(last.charCodeAt(0) + 1)}.${footer}`,
    ],
    ['lower case', token.toLowerCase()],
    ['a dot at the end', `${token}.`],
    ['signature cut off', `v4.public.${encode(Buffer.from(payload, 'base64url').subarray(0, -64))}.${footer}`],
    ['one octet less', `v4.public.${encode(Buffer.from(payload, 'base64url').subarray(0, -1))}.${footer}`],
    ['a signature of zeros', withSignature(Buffer.alloc(64))],
    ['a signature of ones', withSignature(Buffer.alloc(64, 0xff))],
    ['s + L (RFC 8032 §5.1.7)', withSignature(withGroupOrder(Buffer.from(payload, 'base64url').subarray(-64)))],
    ['too long', withClaims({ more: 'x'.repeat(4096) })],
    ['a bare payload', `v4.public.${encode('{}')}`],
  ])
  t.match(
    await alice.get('/api/whoami', `v4.public.${payload}=.${footer}`),
    { status: 400 },
    'padding within (RFC 6750 §2.1)',
  )

  function withSignature(signature: Buffer): string {
    const message = Buffer.from(payload, 'base64url').subarray(0, -64)
    return `v4.public.${encode(Buffer.concat([message, signature]))}.${footer}`
  }
})

/** Adds the order of the group to s, which a lax verifier accepts: the signature would have a second spelling. */
function withGroupOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order
  const octets = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return Buffer.concat([signature.subarray(0, 32), octets])
}

t.test('rejects claims that are not a JSON object with unique names, even if signed (JW19, N-75)', async t => {
  const json = JSON.stringify({ ...claims, iat: time(0), exp: time(300) })
  const signed = (text: string | Buffer): Row => [String(text).slice(0, 40), forge({ claims: text })]
  await refuseEach(t, server, alice, [
    signed(json.replace('"sub"', '"sub":"root","sub"')),
    signed(json.replace('"cnf":{', '"cnf":{"x5t#S256":"x",')),
    signed(`[${json}]`),
    signed('null'),
    signed('{"iss":'),
    signed(`\ufeff${json}`),
    signed(Buffer.concat([Buffer.from('{"sub":"'), Buffer.from([0xff]), Buffer.from('"}')])),
    signed(json.replace('{', `{"deep":${'['.repeat(200)}${']'.repeat(200)},`)),
    ['__proto__', forge({ claims: `{"__proto__":${json}}` }), 'wrong_issuer'],
    ['nothing', forge({ claims: '' })],
  ])
  t.match(await alice.get('/api/whoami', forge({ claims: json })), served, 'control: by hand, with unique names')
})

const time = (seconds: number) => new Date((server.clock + seconds) * 1000).toISOString().replace('.000', '')

t.test('rejects times that are not date-times, and those out of range (JW22, JW28, N-75)', async t => {
  const raw = (more: object) =>
    forge({ claims: JSON.stringify({ ...claims, iat: time(0), nbf: time(0), exp: time(300), ...more }) })
  await refuseEach(t, server, alice, [
    ...['iat', 'nbf', 'exp'].flatMap(name =>
      [
        server.clock + 60,
        String(server.clock + 60),
        'tomorrow',
        time(60).toLowerCase(),
        time(60).replace('T', ' '),
        null,
        [],
      ].map((value): Row => [`${name} ${JSON.stringify(value)}`, raw({ [name]: value }), 'claims_malformed']),
    ),
    ['without exp', raw({ exp: undefined }), 'claims_malformed'],
    ['without iat', raw({ iat: undefined }), 'claims_malformed'],
    ['expired', raw({ iat: time(-300), exp: time(0) }), 'expired'],
    ['expired, in another time zone', raw({ exp: time(3600).replace('Z', '+02:00') }), 'claims_malformed'],
    ['in the future', raw({ nbf: time(60) }), 'not_yet_valid'],
    ['for two days', raw({ exp: time(172_800) }), 'claims_malformed'],
    ['exp before iat', raw({ exp: time(-1) }), 'claims_malformed'],
  ])
  t.match(
    await alice.get('/api/whoami', raw({ exp: time(7500).replace('Z', '+02:00') })),
    served,
    'control: a time zone',
  )
})

t.test('rejects claims of other types and of another audience with their reasons (JW23, JW24)', async t => {
  await refuseEach(t, server, alice, [
    ['aud', withClaims({ aud: 'https://other.example' }), 'wrong_audience'],
    ['no aud', withClaims({ aud: undefined }), 'wrong_audience'],
    ['sub', withClaims({ sub: 1 }), 'claims_malformed'],
    ['no client', withClaims({ client_id: undefined }), 'claims_malformed'],
    ['no jti', withClaims({ jti: undefined }), 'claims_malformed'],
    ['no cnf', withClaims({ cnf: undefined }), 'confirmation_malformed'],
    ['cnf of another certificate', withClaims({ cnf: { 'x5t#S256': 'A'.repeat(43) } }), 'certificate_mismatch'],
    ['an unknown member in cnf', withClaims({ cnf: { ...claims.cnf, jkt: 'x' } }), 'confirmation_malformed'],
  ])
})

t.test('ends with its lifetime on the connections that remember it', async t => {
  const token = await issue({ token_binding: 'certificate' })
  const known = await server.connect('alice')
  const before = server.clock
  t.match(await known.get('/api/whoami', token), served)
  server.clock = before + 299
  t.match(await known.get('/api/whoami', token), served)
  server.clock = before + 300
  for (const connection of [alice, known, await server.connect('alice')])
    await refuseEach(t, server, connection, [['expired', token, 'expired']])
  server.clock = before
})

t.test('writes no token anywhere (LK01, LK11)', async t => {
  const token = await issue()
  await (await server.connect('bob')).get('/api/whoami', token)
  await alice.get(`/api/whoami?access_token=${token}`)
  await alice.get(`/nowhere/${token.slice(0, 60)}`)
  const [, , payload = ''] = token.split('.')
  const written = JSON.stringify(server.events) + JSON.stringify(server.alarms) + server.log.join('')
  for (const secret of [token, payload, payload.slice(100, 160), payload.slice(-64)]) t.notOk(written.includes(secret))
})
