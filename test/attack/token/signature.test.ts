// Tokens whose signature is invalid, or valid in a form that must not count: JW01 … JW03, JW11, JW26, JW27. The server has
// three keys, one for each algorithm, and each verifies its own algorithm only.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { type Algorithm, generateTokenKey, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { issueCertificate, startTestServer } from '../../../src/testing/server.ts'
import { type Row, refuseEach } from '../../helpers/server/refusals.ts'
import { forgePaseto } from '../../helpers/tokens/forge-paseto.ts'
import {
  claimsFor,
  encode,
  forgeHmacToken,
  forgeToken,
  headerOf,
  numberBytes,
  p256Order,
  signatureOf,
  signers,
  withOtherS,
  withSignature,
} from '../../helpers/tokens/forge-token.ts'

const [ec, ed, rsa] = await Promise.all([
  generateTokenKey('ES256'),
  generateTokenKey('EdDSA'),
  generateTokenKey('RS256'),
])
const keys = [ec, ed, rsa]
const server = await startTestServer({ signingKeys: keys })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const claims = claimsFor(alice, server)
const good = (jwk: TokenJwk) => forgeToken({ jwk, claims })
const privateKeyOf = (jwk: TokenJwk) => createPrivateKey({ key: jwk, format: 'jwk' })

t.test('accepts a token made by hand with a key of the issuer (control)', async t => {
  for (const jwk of keys)
    t.match(await alice.get('/api/whoami', good(jwk)), { status: 200, body: { client_id: 'alice' } })
})

t.test('rejects an unsigned token and one with an unknown algorithm (JW01, JW27, N-33, N-36)', async t => {
  const signature = encode(signatureOf(good(ec)))
  const algorithms = [
    'none',
    'None',
    'NONE',
    'nOnE',
    'none ',
    '',
    'ES',
    'es256',
    'ES256 ',
    'ES256K',
    'null',
    'toString',
    '__proto__',
  ]
  const odd = [null, 0, true, [], ['ES256'], {}, { ES256: 1 }]
  const headers = [...algorithms, ...odd].map(alg => ({ ...headerOf(ec), alg }))
  const { alg: _, ...withoutAlg } = headerOf(ec)
  await refuseEach(
    t,
    server,
    alice,
    [...headers, withoutAlg].flatMap((header): Row[] => {
      const input = `${encode(header)}.${encode(claims)}`
      return [
        [`${JSON.stringify(header)} without signature`, `${input}.`],
        [`${JSON.stringify(header)} with the signature of another token`, `${input}.${signature}`],
        [`${JSON.stringify(header)}, signed with the key of the issuer`, forgeToken({ jwk: ec, header, claims })],
      ]
    }),
  )
})

t.test('accepts no public key as an HMAC secret, in any spelling (JW02, N-36)', async t => {
  const jwks = (await alice.get('/oauth/jwks')).text
  for (const [index, jwk] of keys.entries()) {
    const publicKey = createPublicKey(privateKeyOf(jwk))
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const privateKey = privateKeyOf(jwk)
    const certificate = issueCertificate({ subject: [['CN', 'keys']], keyPair: { privateKey, publicKey } }).certificate
    const published = JSON.parse(jwks).keys[index]
    const secrets: Record<string, string | Buffer> = {
      PEM: pem,
      'PEM without its last newline': pem.trimEnd(),
      'PEM with two newlines': `${pem}\n`,
      'PEM with CRLF': pem.replaceAll('\n', '\r\n'),
      DER: der,
      base64: der.toString('base64'),
      base64url: der.toString('base64url'),
      hex: der.toString('hex'),
      'the JWK as it is published': JSON.stringify(published),
      'the JWK as node:crypto writes it': JSON.stringify(publicKey.export({ format: 'jwk' })),
      'the JWKS as it is published': jwks,
      'the certificate': certificate,
      'the certificate in DER': Buffer.from(certificate.replace(/-----.*-----/g, ''), 'base64'),
      'the line of OpenSSH': sshLine(publicKey),
      'its coordinates': Buffer.from(published.x ?? published.n, 'base64url'),
      kid: jwk.kid,
      nothing: '',
    }
    await refuseEach(
      t,
      server,
      alice,
      Object.entries(secrets).flatMap(([name, secret]): Row[] => [
        [`${jwk.alg}: HS256 with ${name}`, forgeHmacToken({ ...headerOf(jwk), alg: 'HS256' }, claims, secret)],
        [
          `${jwk.alg}: HS256 with ${name}, without kid`,
          forgeHmacToken({ typ: 'at+jwt', alg: 'HS256' }, claims, secret),
        ],
        [`${jwk.alg}: an HMAC with ${name} under the real alg`, forgeHmacToken(headerOf(jwk), claims, secret)],
      ]),
    )
  }
})

t.test('verifies only its own algorithm with a key (JW03, N-36)', async t => {
  const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
  const forge = (jwk: TokenJwk, alg: string, signer = signers[jwk.alg as Algorithm], kid = jwk.kid) =>
    forgeToken({ jwk, header: { ...headerOf(jwk), alg, kid }, claims, signer })
  const everything = ['ES256', 'ES384', 'ES512', 'ES256K', 'EdDSA', 'Ed25519', 'RS256', 'RS384', 'PS256', 'HS256']
  await refuseEach(t, server, alice, [
    ...keys.flatMap(jwk =>
      everything.filter(alg => alg !== jwk.alg).map((alg): Row => [`${jwk.alg} called ${alg}`, forge(jwk, alg)]),
    ),
    ...keys.flatMap(jwk =>
      keys
        .filter(({ kid }) => kid !== jwk.kid)
        .flatMap(({ kid, alg }): Row[] => [
          [`${jwk.alg} with the kid of ${alg}`, forge(jwk, jwk.alg, undefined, kid)],
          [`${jwk.alg} with kid and alg of ${alg}`, forge(jwk, alg, undefined, kid)],
        ]),
    ),
    ['ES384 over P-256', forge(ec, 'ES384', signers.ES384)],
    ['SHA-384 over P-256 called ES256', forge(ec, 'ES256', signers.ES384)],
    ['SHA-512 over P-256 called ES256', forge(ec, 'ES256', signers.ES512)],
    ['PS256 by the key of RS256', forge(rsa, 'PS256', signers.PS256)],
    ['PS256 called RS256', forge(rsa, 'RS256', signers.PS256)],
    ['RS512 called RS256', forge(rsa, 'RS256', signers.RS512)],
    ['RSA with SHA-1 called RS256', forge(rsa, 'RS256', signers.RS1)],
    ['ES256K by another key', forge(ec, 'ES256K', input => signers.ES256(input, other))],
    ['ES256K by another key called ES256', forge(ec, 'ES256', input => signers.ES256(input, other))],
  ])
})

t.test(
  'accepts one form of an ECDSA signature: r and s of 32 octets each, in range, and the lower s (JW11)',
  async t => {
    const token = good(ec)
    const signature = signatureOf(token)
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)]
    const pair = (one: bigint | Buffer, two: bigint | Buffer) =>
      Buffer.concat([one, two].map(part => (typeof part === 'bigint' ? numberBytes(part) : part)))
    const wrong: Record<string, Buffer> = {
      'r = s = 0': pair(0n, 0n),
      'r = 0': pair(0n, s),
      's = 0': pair(r, 0n),
      'r = n': pair(p256Order, s),
      's = n': pair(r, p256Order),
      'r = s = n': pair(p256Order, p256Order),
      'r = s = 1': pair(1n, 1n),
      'r = s = n - 1': pair(p256Order - 1n, p256Order - 1n),
      'r and s swapped': pair(s, r),
      'all ones': Buffer.alloc(64, 0xff),
      'the twin (r, n - s)': withOtherS(signature),
      DER: derOf(signature),
      'its first 63 octets': signature.subarray(0, 63),
      'its first 32 octets': r,
      'one octet': signature.subarray(0, 1),
      '65 octets, a zero behind': Buffer.concat([signature, Buffer.alloc(1)]),
      '65 octets, a zero before': Buffer.concat([Buffer.alloc(1), signature]),
      'r and s in 33 octets each': Buffer.concat([Buffer.alloc(1), r, Buffer.alloc(1), s]),
      twice: Buffer.concat([signature, signature]),
      'of an empty text': signers.ES256(Buffer.alloc(0), privateKeyOf(ec)),
      'an HMAC with no key': createHmac('sha256', '').update(token).digest(),
    }
    t.equal(
      (await alice.get('/api/whoami', withSignature(token, pair(r, s)))).status,
      200,
      'control: reassembled, it is valid',
    )
    await refuseEach(
      t,
      server,
      alice,
      Object.entries(wrong).map(([name, bytes]): Row => [name, withSignature(token, bytes)]),
    )
  },
)

t.test('accepts one form of RSA and Ed25519 signatures (JW11)', async t => {
  const [rsaToken, edToken] = [good(rsa), good(ed)]
  const rsaSignature = signatureOf(rsaToken)
  const edSignature = signatureOf(edToken)
  const n = BigInt(`0x${Buffer.from(rsa.n as string, 'base64url').toString('hex')}`)
  const plusN = (BigInt(`0x${rsaSignature.toString('hex')}`) + n).toString(16)
  const order = 2n ** 252n + 27742317777372353535851937790883648493n // RFC 8032 §5.1
  const s = BigInt(`0x${Buffer.from(edSignature.subarray(32)).reverse().toString('hex')}`)
  const withS = (value: bigint) => Buffer.concat([edSignature.subarray(0, 32), numberBytes(value).reverse()])
  t.same(withS(s), edSignature, 'control: the octets of s are read correctly')
  await refuseEach(t, server, alice, [
    [
      'RSA: s + n',
      withSignature(rsaToken, Buffer.from(plusN.padStart(2 * rsaSignature.length + 2, '0').replace(/^00/, ''), 'hex')),
    ],
    ['RSA: a zero before', withSignature(rsaToken, Buffer.concat([Buffer.alloc(1), rsaSignature]))],
    ['RSA: a zero behind', withSignature(rsaToken, Buffer.concat([rsaSignature, Buffer.alloc(1)]))],
    ['RSA: cut short', withSignature(rsaToken, rsaSignature.subarray(1))],
    ['RSA: zero', withSignature(rsaToken, Buffer.alloc(rsaSignature.length))],
    ['RSA: one', withSignature(rsaToken, numberBytes(1n, rsaSignature.length))],
    ['RSA: n - 1', withSignature(rsaToken, numberBytes(n - 1n, rsaSignature.length))],
    ['Ed25519: s + L', withSignature(edToken, withS(s + order))],
    ['Ed25519: zero', withSignature(edToken, Buffer.alloc(64))],
    [
      'Ed25519: the neutral point and s = 0',
      withSignature(edToken, Buffer.concat([numberBytes(1n).reverse(), Buffer.alloc(32)])),
    ],
    ['Ed25519: cut short', withSignature(edToken, edSignature.subarray(0, 63))],
    ['Ed25519: a zero behind', withSignature(edToken, Buffer.concat([edSignature, Buffer.alloc(1)]))],
  ])
})

t.test('rejects signatures of a removed or not yet published key (JW26)', async t => {
  const next = await generateTokenKey('ES256')
  const after = await startTestServer({ signingKeys: [next] })
  const overlap = await startTestServer({ signingKeys: [next, ec] })
  t.teardown(() => Promise.all([after.close(), overlap.close()]))
  const there = await overlap.connect('alice')
  const forge = (jwk: TokenJwk, connection = there) => forgeToken({ jwk, claims: claimsFor(connection, overlap) })
  t.equal((await there.get('/api/whoami', forge(ec))).status, 200, 'the old key is accepted during the overlap')
  t.equal((await there.get('/api/whoami', forge(next))).status, 200, 'so is the new one, which signs')
  t.match(JSON.parse(Buffer.from((await there.token()).split('.')[0] as string, 'base64url').toString()), {
    kid: next.kid,
  })

  const later = await after.connect('alice')
  t.equal((await later.get('/api/whoami', forge(next, later))).status, 200)
  await refuseEach(t, after, later, [['of the retired key', forge(ec, later)]])
  await refuseEach(t, server, alice, [['of a key that is not published yet', forgeToken({ jwk: next, claims })]])
})

t.test('rejects signatures of a key that has expired and is still in the file (JW26)', async t => {
  const next = await generateTokenKey('ES256')
  const paseto = await generateTokenKey('v4.public')
  const exp = server.clock + 50
  const olds = [
    { ...ec, exp },
    { ...paseto, exp },
  ]
  const own = await startTestServer({ signingKeys: [...olds, { ...next, nbf: server.clock }] })
  t.teardown(() => own.close())
  const connection = await own.connect('alice')
  const forge = () => {
    const claims = claimsFor(connection, own)
    return { jwt: forgeToken({ jwk: ec, claims }), paseto: forgePaseto({ jwk: paseto, claims }) }
  }
  own.clock = exp - 1
  for (const [name, token] of Object.entries(forge()))
    t.match(await connection.get('/api/whoami', token), { status: 200 }, `control: ${name} a second before`)
  own.clock = exp
  await refuseEach(
    t,
    own,
    await own.connect('alice'),
    Object.entries(forge()).map(([name, token]): Row => [name, token]),
  )
  t.match(await connection.get('/api/whoami', await connection.token()), { status: 200 }, 'control: the next key')
})

/** The signature as an ECDSA-Sig-Value in DER (RFC 3279 §2.2.3), as in formats other than JOSE. */
function derOf(signature: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    const positive = (bytes[0] as number) < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes])
    return Buffer.concat([Buffer.from([0x02, positive.length]), positive])
  }
  const parts = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))])
  return Buffer.concat([Buffer.from([0x30, parts.length]), parts])
}

/** The public key as in `authorized_keys` (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4). */
function sshLine(key: KeyObject): string {
  const { kty, x = '', y = '', n = '', e = '' } = key.export({ format: 'jwk' })
  const bytes = (value: string) => Buffer.from(value, 'base64url')
  const fields = {
    EC: ['ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)])],
    OKP: ['ssh-ed25519', bytes(x)],
    RSA: ['ssh-rsa', bytes(e), Buffer.concat([Buffer.alloc(1), bytes(n)])],
  }[kty as 'EC' | 'OKP' | 'RSA']
  const wire = fields.map(field => {
    const content = Buffer.from(field as string)
    return Buffer.concat([numberBytes(BigInt(content.length), 4), content])
  })
  return `${fields[0]} ${Buffer.concat(wire).toString('base64')}`
}
