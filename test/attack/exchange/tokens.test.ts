// Subject tokens that no trusted issuer issued, or not for this purpose: forged, altered, expired, for others. Each next to a
// valid one. JW01–JW07, JW09–JW11, JW14–JW16, JW20, JW22–JW24; RFC 8725 §2; RFC 8693 §2.2.2 (all are invalid_request).
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { exportJWK } from 'jose'
import t from 'tap'
import { startTestServer } from '../../../src/testing/server.ts'
import { encode, forgeHmacToken, signatureOf, withSignature } from '../../helpers/tokens/forge-token.ts'
import {
  exchange,
  exchangeClients,
  goodClaims,
  idp,
  makeIssuer,
  outsideAudience,
  refuseExchange,
  startKeyServer,
  tokenType,
  trust,
} from '../../helpers/tokens/outside-issuer.ts'

const issuer = await makeIssuer()
const impostor = await makeIssuer() // another key under the same kid
const ofRsa = await makeIssuer('rsa-1', 'RS256')
const onlyRsa = 'https://rsa.example'
const entries = [
  { issuer: idp, audience: outsideAudience, jwks_file: 'keys.json', subject_prefix: 'idp:' },
  {
    issuer: onlyRsa,
    audience: outsideAudience,
    jwks_file: 'keys.json',
    algorithms: ['RS256'],
    subject_prefix: 'rsa:',
  },
]
const clients = [
  ...exchangeClients,
  { ...exchangeClients[2], client_id: 'idp:bot', tls_client_auth_subject_dn: 'CN=bot' },
]
const env = trust(t.testdir(), entries, { 'keys.json': { keys: [issuer.publicJwk, ofRsa.publicJwk] } })
const server = await startTestServer({ env, clients })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const now = server.clock
const at = { server, connection: alice }

t.beforeEach(async t => {
  t.match(await exchange(alice, await issuer.sign(now)), { status: 200 }, 'control')
})

t.test(
  'rejects subject tokens that are unsigned, or signed with the public key or another key (JW01, JW02, JW03, JW11)',
  async t => {
    const good = await issuer.sign(now)
    const claims = goodClaims(now)
    const { kid } = issuer.publicJwk
    const key = createPublicKey({ key: issuer.publicJwk as JsonWebKey, format: 'jwk' })
    const pem = key.export({ type: 'spki', format: 'pem' })
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const rsa = await makeIssuer(kid, 'RS256')
    const rows: [string, string][] = [
      ...['none', 'None', 'nOnE', ''].flatMap((alg): [string, string][] => [
        [`alg ${alg}, no signature`, `${encode({ alg, kid })}.${payload}.`],
        [`alg ${alg}, an old signature`, `${encode({ alg, kid })}.${payload}.${signature}`],
      ]),
      ...[
        pem,
        pem.toString().trim(),
        key.export({ type: 'spki', format: 'der' }),
        JSON.stringify(issuer.publicJwk),
      ].map((secret, index): [string, string] => [
        `HS256 with the public key, form ${index}`,
        forgeHmacToken({ alg: 'HS256', kid, typ: 'at+jwt' }, claims, secret),
      ]),
      ['another key of the same kid', await impostor.sign(now)],
      ['a key of another kind', await rsa.sign(now)],
      ['a header that says RS256', `${encode({ alg: 'RS256', kid })}.${payload}.${signature}`],
      ['r and s are zero', withSignature(good, Buffer.alloc(64))],
      ['half a signature', withSignature(good, signatureOf(good).subarray(0, 32))],
      ['no signature', withSignature(good, '')],
      ['other claims', `${header}.${encode({ ...claims, sub: 'dave' })}.${signature}`],
      ['an algorithm that is not configured for this issuer', await issuer.sign(now, { iss: onlyRsa })],
    ]
    for (const [name, token] of rows) await refuseExchange(t, at, name, token)
  },
)

t.test('ignores keys and URLs in the header of a subject token (JW04, JW05, JW06, JW07, JW09)', async t => {
  const canary = await startKeyServer(t, server.pki, (_request, response) => response.end('{}'))
  const jwk = await exportJWK(createPublicKey({ key: impostor.publicJwk as JsonWebKey, format: 'jwk' }))
  const header: [string, object][] = [
    ['jwk', { jwk }],
    ['jwk without kid', { jwk, kid: undefined }],
    ['jku', { jku: canary.uri }],
    ['x5u', { x5u: canary.uri }],
    ['x5c', { x5c: [server.pki.alice.x509.raw.toString('base64')] }],
  ]
  for (const [name, more] of header) await refuseExchange(t, at, name, await impostor.sign(now, {}, more))
  t.equal(canary.connections, 0, 'no request was made')
  const kids = ['unknown', '', '../../dev/null', '__proto__', 'constructor', 'x'.repeat(2000), "' OR 1=1"]
  for (const kid of kids) await refuseExchange(t, at, `kid ${kid.slice(0, 20)}`, await issuer.sign(now, {}, { kid }))
  const [, payload, signature] = (await issuer.sign(now)).split('.')
  for (const more of [
    { kid: ['outside-1'] },
    { kid: {} },
    { crit: ['x'], x: 1 },
    { crit: [] },
    { b64: false, crit: ['b64'] },
  ]) {
    const written = { alg: 'ES256', kid: 'outside-1', ...more }
    await refuseExchange(t, at, JSON.stringify(more), `${encode(written)}.${payload}.${signature}`)
  }
})

t.test('rejects tokens that were issued for another purpose than a login (JW10, N-36, RFC 8725 §3.11)', async t => {
  for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'refresh+jwt', 'JOSE', ''])
    await refuseExchange(t, at, `typ ${typ}`, await issuer.sign(now, {}, { typ }))
  const asIdToken = { subject_token_type: tokenType('id_token') }
  t.match(await exchange(alice, await issuer.sign(now, {}, { typ: 'JWT' }), asIdToken), { status: 200 }, 'control')
  await refuseExchange(t, at, 'an access token as id_token', await issuer.sign(now), asIdToken)
  const logout = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }
  await refuseExchange(t, at, 'a logout token', await issuer.sign(now, logout, { typ: 'JWT' }))
})

t.test('requires claims of the right type, for this server and the current time (JW22, JW23, JW24)', async t => {
  for (const [name, claims] of [
    ['the maximum age', { iat: now - 3600 }],
    ['slightly in the future', { iat: now + 10, nbf: now + 10, exp: now + 60 }],
    ['one audience', { aud: outsideAudience }],
    ['the last second', { exp: now + 1 }],
    ['with fractions (RFC 7519 §2)', { iat: now - 0.5, nbf: now - 0.25, exp: now + 60.75 }],
    ['the maximum age, with a fraction', { iat: now - 3599.5 }],
  ] as const)
    t.match(await exchange(alice, await issuer.sign(now, claims)), { status: 200 }, `control: ${name}`)
  const missing = undefined
  const bad: Readonly<Record<string, readonly unknown[]>> = {
    iss: [missing, null, '', `${idp}/`, idp.toUpperCase(), [idp], 'https://evil.example', onlyRsa, '__proto__'],
    aud: [
      missing,
      null,
      '',
      [],
      {},
      7,
      'https://localhost',
      `${outsideAudience}/`,
      [outsideAudience, 7],
      [[outsideAudience]],
    ],
    sub: [missing, null, '', 7, ['carol'], {}, 'x'.repeat(257), 'x'.repeat(255), 'bot'],
    exp: [missing, null, now, now - 1, 0, -1, String(now + 60), [now + 60], now + 0.5, 1e300, true],
    iat: [missing, null, now + 10.5, now + 11, now - 3600.5, now - 3601, String(now), -0.5, -1, true],
    nbf: [null, now + 11, String(now), 1e300, {}],
    scope: [null, 7, {}, 'a  b', 'a a', 'a\tb', ' a', [7], ['a b'], [['a']], 'x'.repeat(1025)],
  }
  for (const [name, values] of Object.entries(bad))
    for (const value of values)
      await refuseExchange(
        t,
        at,
        `${name}: ${JSON.stringify(value)?.slice(0, 60)}`,
        await issuer.sign(now, { [name]: value }),
      )
  await refuseExchange(t, at, 'it ends before it begins', await issuer.sign(now, { iat: now + 9, exp: now + 9 }))
})

t.test(
  'rejects a subject token that is not a JWT in its one spelling, before parsing it (JW14, JW15, JW16, JW20)',
  async t => {
    const good = await issuer.sign(now)
    const fill = (size: number) => issuer.sign(now, { fill: 'x'.repeat(size) })
    const short = (await fill(0)).length
    const largest = await fill(Math.floor(((8192 - short) * 3) / 4) - 2)
    t.ok(largest.length > 8180 && largest.length <= 8192)
    t.match(await exchange(alice, largest), { status: 200 }, 'control: 8 KiB')
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const json = JSON.stringify({ protected: header, payload, signature })
    const rows: [string, string][] = [
      ['more than 8 KiB', await fill(6200)],
      ['noise', 'x'.repeat(100)],
      ['a line', `${good}\n`],
      ['a space before it', ` ${good}`],
      ['padding', `${good}=`],
      ['four segments', `${good}.x`],
      ['five segments', `${good}.x.x`],
      ['two segments', `${header}.${payload}`],
      ['JSON', json],
      ['its own refresh token', 'tlsbound_rt_0000000000000000000000000000000000000000000000000'],
      ['an opaque token that was never issued', 'tlsbound_at_0000000000000000000000000000000000000000000'],
    ]
    for (const [name, token] of rows) await refuseExchange(t, at, name, token)
    const bodies = [
      '[]',
      '"x"',
      'null',
      '{"iss":"https://idp.example"',
      '{"iss":"https://idp.example","exp":1e400}',
      '\u0000',
    ]
    for (const body of bodies) await refuseExchange(t, at, `claims ${body}`, `${header}.${encode(body)}.${signature}`)
    t.match(
      await exchange(await server.connect('alice'), 'x'.repeat(17_000)),
      { status: 413 },
      'a form has a size limit',
    )
  },
)

t.test('trusts no outside issuer unless a list names it', async t => {
  const own = await startTestServer({ clients: exchangeClients })
  t.teardown(() => own.close())
  await refuseExchange(
    t,
    { server: own, connection: await own.connect('alice') },
    'no list',
    await issuer.sign(own.clock),
  )
})
