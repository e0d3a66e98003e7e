// The header of a token has three members, each of one form: JW04 … JW07, JW09, JW10, JW15, JW19. Each header here is signed
// by the issuer's own key unless stated otherwise, so that only its content is wrong.

import { type AddressInfo, createServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { deflateRawSync } from 'node:zlib'
import t from 'tap'
import { generateTokenKey } from '../../../src/keys/token-keys.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { connectionOf } from '../../../src/tls/connection.ts'
import { type Row, refusal, refuseEach } from '../../helpers/server/refusals.ts'
import { claimsFor, confirmationOf, forgeToken, headerOf, thumbprint } from '../../helpers/tokens/forge-token.ts'

const [jwk, attacker] = await Promise.all([generateTokenKey('ES256'), generateTokenKey('ES256')])
const server = await startTestServer({ signingKeys: [jwk] })
t.teardown(() => server.close())
const sockets: TLSSocket[] = []
server.app.server.on('secureConnection', socket => sockets.push(socket as TLSSocket))
const alice = await server.connect('alice')
const claims = claimsFor(alice, server)
const header = headerOf(jwk)
const forge = (changes: object) => forgeToken({ jwk, header: { ...header, ...changes }, claims })
const remembered = () => connectionOf(sockets[0])?.verified?.size

t.test("accepts the issuer's header in any order of its members", async t => {
  t.equal((await alice.get('/api/whoami', forge({}))).status, 200)
  const reversed = Object.fromEntries(Object.entries(header).reverse())
  t.equal((await alice.get('/api/whoami', forgeToken({ jwk, header: reversed, claims }))).status, 200)
  t.equal(remembered(), 2, 'accepted tokens are remembered')
})

t.test('ignores keys and certificates in the header of a token (JW04, JW06, N-36)', async t => {
  const { d: _, ...publicJwk } = attacker
  const { kid: __, ...withoutKid } = publicJwk
  const bySigner = (changes: object, signer = attacker) =>
    forgeToken({ jwk: signer, header: { ...header, ...changes }, claims })
  const chain = issueCertificate({ subject: [['CN', 'keys']], keyType: 'ec' })
  const der = chain.x509.raw
  await refuseEach(t, server, alice, [
    ['the key of the attacker under our kid', bySigner({})],
    ['jwk under our kid', bySigner({ jwk: publicJwk })],
    ['jwk under its own kid', bySigner({ kid: attacker.kid, jwk: publicJwk })],
    ['jwk without kid', bySigner({ kid: undefined, jwk: withoutKid })],
    ['our own jwk beside our signature', bySigner({ jwk: { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y } }, jwk)],
    ['x5c', bySigner({ x5c: [der.toString('base64')] })],
    ['x5c and x5t#S256', bySigner({ x5c: [der.toString('base64')], 'x5t#S256': thumbprint(der) })],
    ['x5t', bySigner({ x5t: thumbprint(der, 'sha1') })],
    ['x5t#S256 of the presenter beside our signature', bySigner(confirmationOf(alice), jwk)],
    ['jwks', bySigner({ jwks: { keys: [publicJwk] } })],
  ])
})

t.test('connects to no URL that a token names (JW05, N-36)', async t => {
  let connects = 0
  const canary = createServer(socket => {
    connects++
    socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
  })
  await new Promise<void>(resolve => canary.listen(0, '127.0.0.1', resolve))
  t.teardown(() => canary.close())
  const { port } = canary.address() as AddressInfo
  await fetch(`http://127.0.0.1:${port}/`)
  t.equal(connects, 1, 'control: the server notices a connection')

  const addresses = [
    `http://127.0.0.1:${port}/keys`,
    `https://127.0.0.1:${port}/keys`,
    `//127.0.0.1:${port}/`,
    'file:///etc/passwd',
  ]
  for (const url of addresses) {
    await refuseEach(t, server, alice, [
      [`jku ${url}`, forge({ jku: url })],
      [`x5u ${url}`, forge({ x5u: url })],
      [
        `jku ${url} and a foreign kid`,
        forgeToken({ jwk: attacker, header: { ...headerOf(attacker), jku: url }, claims }),
      ],
      [`kid ${url}`, forge({ kid: url })],
      [`iss ${url}`, forgeToken({ jwk, claims: { ...claims, iss: url } }), 'wrong_issuer'],
      [
        `cnf.jku ${url}`,
        forgeToken({ jwk, claims: { ...claims, cnf: { jku: url, kid: 'x' } } }),
        'confirmation_malformed',
      ],
    ])
  }
  t.equal((await alice.get('/api/whoami', forge({}))).status, 200, 'the server has processed all of them')
  t.equal(connects, 1)
})

t.test('uses a kid only to select a loaded key (JW07, N-36)', async t => {
  const before = remembered()
  const prototype = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'size', 'get']
  const texts = [
    '',
    'unknown',
    '../../dev/null',
    '/etc/passwd',
    "' UNION SELECT 1 --",
    '0',
    '\0',
    `${jwk.kid}\0`,
    ...prototype,
  ]
  const near = [
    ` ${jwk.kid}`,
    `${jwk.kid} `,
    `${jwk.kid}=`,
    jwk.kid.toLowerCase(),
    jwk.kid.slice(0, -1),
    'k'.repeat(1000),
    'k'.repeat(10_240),
  ]
  const others: unknown[] = [[jwk.kid], [], { kid: jwk.kid }, { toString: jwk.kid }, null, 0, true]
  await refuseEach(t, server, alice, [
    ...[...texts, ...near, ...others].map((kid): Row => [`kid ${JSON.stringify(kid).slice(0, 60)}`, forge({ kid })]),
    ['without kid', forge({ kid: undefined })],
    [
      'kid twice, ours last',
      forgeToken({ jwk: attacker, header: `{"typ":"at+jwt","alg":"ES256","kid":"x","kid":"${jwk.kid}"}`, claims }),
    ],
    [
      'our kid on the prototype',
      forgeToken({ jwk, header: `{"typ":"at+jwt","alg":"ES256","__proto__":{"kid":"${jwk.kid}"}}`, claims }),
    ],
  ])
  t.equal(remembered(), before, 'none of these is remembered')
})

t.test('rejects a header with crit, whatever it lists (JW09)', async t => {
  const critical = [
    ['b64'],
    ['exp'],
    ['alg'],
    ['typ'],
    ['kid'],
    ['x'],
    [],
    ['x', 'x'],
    ['crit'],
    [''],
    [0],
    [null],
    'x',
    '',
    null,
    true,
    0,
    {},
  ]
  await refuseEach(t, server, alice, [
    ...critical.flatMap((crit): Row[] => [
      [`crit ${JSON.stringify(crit)}`, forge({ crit })],
      [`crit ${JSON.stringify(crit)}, with such a member`, forge({ crit, x: 1, b64: true, exp: 1 })],
    ]),
    ['b64 false without crit', forge({ b64: false })],
    ['b64 false with crit', forge({ b64: false, crit: ['b64'] })],
    ['b64 true', forge({ b64: true })],
  ])
})

t.test('accepts typ at+jwt only, in the short or the long form of the media type (JW10, N-33)', async t => {
  t.equal((await alice.get('/api/whoami', forge({ typ: 'application/at+jwt' }))).status, 200, 'N-36')
  const kinds = [
    'JWT',
    'jwt',
    'id_token',
    'refresh+jwt',
    'logout+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'tls-binding-proof+jwt',
    'token-introspection+jwt',
  ]
  const spellings = [
    'AT+JWT',
    'At+Jwt',
    'at+JWT',
    'application/AT+JWT',
    'APPLICATION/at+jwt',
    ' at+jwt',
    'at+jwt ',
    'at+jwt\0',
    'at jwt',
    'at+jwt;v=1',
    '/at+jwt',
    'x/at+jwt',
    'application/application/at+jwt',
    'at+jw',
    'at%2Bjwt',
    'аt+jwt',
    '',
  ]
  const odd = [['at+jwt'], { typ: 'at+jwt' }, null, 0, true, undefined]
  await refuseEach(
    t,
    server,
    alice,
    [...kinds, ...spellings, ...odd].map((typ): Row => [`typ ${JSON.stringify(typ)}`, forge({ typ }), 'wrong_type']),
  )
})

t.test('rejects a header with any other member, or that is not an object (JW15, JW19)', async t => {
  const nested = forge({})
  const compressed = deflateRawSync(Buffer.alloc(10_000_000, 32))
  const raw = (text: string) => forgeToken({ jwk, header: text, claims })
  const { typ, alg, kid } = header
  await refuseEach(t, server, alice, [
    ['cty', forge({ cty: 'JWT' })],
    ['cty, and a token as the payload', forgeToken({ jwk, header: { ...header, cty: 'JWT' }, claims: nested })],
    ['a token as the payload', forgeToken({ jwk, claims: nested })],
    ['zip', forge({ zip: 'DEF' })],
    [
      'zip, and a decompression bomb',
      forgeToken({ jwk, header: { ...header, zip: 'DEF' }, claims: compressed.subarray(0, 2000) }),
    ],
    ['enc', forge({ enc: 'A256GCM' })],
    ['iss', forge({ iss: claims.iss })],
    ['an unknown member', forge({ x: 1 })],
    ['an empty name', forge({ '': 1 })],
    ['__proto__', raw(`{"typ":"${typ}","alg":"${alg}","kid":"${kid}","__proto__":{}}`)],
    ['constructor', forge({ constructor: {} })],
    ['an array', raw(JSON.stringify([header]))],
    ['a text', raw(JSON.stringify(JSON.stringify(header)))],
    ...['null', '1', 'true', '{', '{}x', '', ' ', '{"typ":"at+jwt",}', "{'typ':'at+jwt'}"].map(
      (text): Row => [`the text ${text}`, raw(text)],
    ),
    ['an empty object', raw('{}'), 'wrong_type'],
    ['a byte order mark', raw(`\ufeff${JSON.stringify(header)}`)],
    [
      'bytes that are not UTF-8',
      forgeToken({ jwk, header: Buffer.from(JSON.stringify({ ...header, kid: 'ÿ' }), 'latin1'), claims }),
    ],
    ['UTF-16', forgeToken({ jwk, header: Buffer.from(JSON.stringify(header), 'utf16le'), claims })],
    ['deep nesting', raw(`{"typ":"at+jwt","x":${'['.repeat(1000)}${']'.repeat(1000)}}`)],
  ])
  t.equal(({} as { kid?: string }).kid, undefined, 'Object.prototype is not polluted')
  t.match(
    await alice.get('/api/whoami', 'e30.e30.e30'),
    refusal('wrong_type'),
    'the shortest text that resembles a token',
  )
})
