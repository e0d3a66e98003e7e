// Keys of tokens: generation, import, rejection, publication. JW32, JW34, N-33, N-36; RFC 7517, RFC 7638, RFC 8725 §3.1. The
// independent implementations are jose, which verifies with the published keys, and node:crypto.
import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { chmodSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import * as jose from 'jose'
import t from 'tap'
import { hasLowS } from '../../src/core/compact-jws.ts'
import {
  algorithms,
  generateTokenKey,
  importSigningKey,
  importVerificationKey,
  parseTokenJwk,
  type TokenJwk,
} from '../../src/keys/token-keys.ts'
import { requireToken } from '../../src/plugins/fastify.ts'
import { ensureKeysFile, importKeysFile, loadKeyRing } from '../../src/process/signing-keys.ts'
import { startTestServer } from '../../src/testing/server.ts'
import { forgeToken, headerOf, issuer, signatureOf, withSignature } from '../helpers/tokens/forge-token.ts'

const keys = await Promise.all(algorithms.map(generateTokenKey))
const [ec, , rsa] = keys as [TokenJwk, TokenJwk, TokenJwk]
const publicOf = ({ d, p, q, dp, dq, qi, ...others }: JsonWebKey) => others as TokenJwk
const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' })
const rsaOf = (modulusLength: number, publicExponent = 65_537) =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey.export({ format: 'jwk' })

t.test('generates a key for its algorithm, named by its thumbprint', async t => {
  for (const [index, jwk] of keys.entries()) {
    t.match(jwk, { alg: algorithms[index], use: 'sig', d: String })
    t.equal(jwk.kid, await jose.calculateJwkThumbprint(publicOf(jwk) as jose.JWK))
    t.same(parseTokenJwk(jwk), jwk, 'and it is importable')
  }
  t.equal(rsa.n && Buffer.from(rsa.n, 'base64url').length, 384)
  t.not((await generateTokenKey('ES256')).kid, ec.kid)
})

t.test('signs tokens that jose verifies with the published keys (N-33)', async t => {
  for (const algorithm of algorithms) {
    const server = await startTestServer({ env: { TLSBOUND_SIGNING_ALGORITHM: algorithm } })
    const alice = await server.connect('alice')
    const token = await alice.token({ scope: 'notes:read' })
    const published = jose.createLocalJWKSet((await alice.get('/oauth/jwks')).body)
    const options = {
      issuer,
      audience: issuer,
      typ: 'at+jwt',
      algorithms: [algorithm],
      requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
    }
    const { payload, protectedHeader } = await jose.jwtVerify(token, published, {
      ...options,
      currentDate: new Date(server.clock * 1000),
    })
    t.match(protectedHeader, { alg: algorithm, typ: 'at+jwt', kid: /^[\w-]{43}$/ })
    t.match(payload, {
      iss: issuer,
      aud: issuer,
      sub: 'alice',
      client_id: 'alice',
      scope: 'notes:read',
      iat: server.clock,
      exp: server.clock + 300,
      jti: /^[\da-f-]{36}$/,
    })
    t.same(Object.keys(payload).sort(), ['aud', 'client_id', 'cnf', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub'])
    t.equal((await alice.get('/api/whoami', token)).status, 200)
    await server.close()
  }
})

t.test('verifies what jose signs with the same key, and rejects changed tokens', async t => {
  for (const jwk of keys) {
    const key = await importVerificationKey(publicOf(jwk))
    t.match(key, { kid: jwk.kid, algorithm: jwk.alg })
    const tokens = Array.from({ length: 12 }, (_, count) =>
      new jose.SignJWT({ count })
        .setProtectedHeader({ ...headerOf(jwk) })
        .sign(createPrivateKey({ key: jwk, format: 'jwk' })),
    )
    for (const [count, token] of (await Promise.all(tokens)).entries()) {
      const low = jwk.alg !== 'ES256' || hasLowS(signatureOf(token))
      t.same(
        key.verify(token),
        low ? { count } : undefined,
        'half of the signatures of other libraries have the higher s',
      )
      t.equal(key.verify(withSignature(token, signatureOf(token).fill(0, 0, 8))), undefined)
    }
    for (const text of [
      '',
      '.',
      '..',
      'a.b.c',
      forgeToken({ jwk, claims: 'null' }),
      forgeToken({ jwk, claims: '[]' }),
      forgeToken({ jwk, claims: '{' }),
    ])
      t.equal(key.verify(text), undefined, 'does not throw')
    t.equal(key.verify(forgeToken({ jwk, header: { ...headerOf(jwk), alg: 'none' }, claims: {} })), undefined)
  }
})

t.test('signs with the lower s in every ES256 signature (JW11)', async t => {
  const key = await importSigningKey(ec)
  const tokens = Array.from({ length: 64 }, (_, count) => key.sign({ count }))
  t.ok(tokens.every(token => hasLowS(signatureOf(token)) && key.verify(token) !== undefined))
})

t.test('rejects a weak, secret, unsupported or malformed key, and names it (JW32, N-36)', async t => {
  const p256 = publicOf(ec)
  const { n, e } = rsaOf(1024) as { n: string; e: string }
  const padded = Buffer.concat([Buffer.alloc(128), Buffer.from(n, 'base64url')]).toString('base64url')
  const named = { kid: 'weak', use: 'sig' }
  const wrong: Record<string, unknown> = {
    'a secret key': { ...named, kty: 'oct', alg: 'HS256', k: 'A'.repeat(43) },
    'a short secret key': { ...named, kty: 'oct', alg: 'HS256', k: 'AAAA' },
    'a secret key with another algorithm': { ...named, kty: 'oct', alg: 'ES256', k: 'A'.repeat(43) },
    'RSA with 1024 bits': { ...named, alg: 'RS256', kty: 'RSA', n, e },
    'RSA with 1024 bits and leading zeros': { ...named, alg: 'RS256', kty: 'RSA', n: padded, e },
    'RSA with the exponent 1, which makes every signature valid': { ...publicOf(rsa), kid: 'weak', e: 'AQ' },
    'RSA with an even exponent': { ...publicOf(rsa), kid: 'weak', e: 'Ag' },
    'RSA without modulus': { ...named, alg: 'RS256', kty: 'RSA', e },
    'P-192': { ...p256, kid: 'weak', crv: 'P-192', x: 'A'.repeat(32), y: 'A'.repeat(32) },
    'P-384': { ...publicOf(curve('P-384')), ...named, alg: 'ES256' },
    secp256k1: { ...publicOf(curve('secp256k1')), ...named, alg: 'ES256' },
    'secp256k1 labelled as P-256': { ...publicOf(curve('secp256k1')), ...named, alg: 'ES256', crv: 'P-256' },
    'a point that is not on the curve': { ...p256, kid: 'weak', y: p256.x },
    'the point zero': { ...p256, kid: 'weak', x: 'A'.repeat(43), y: 'A'.repeat(43) },
    Ed448: { ...publicOf(generateKeyPairSync('ed448').privateKey.export({ format: 'jwk' })), ...named, alg: 'EdDSA' },
    X25519: { ...publicOf(generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' })), ...named, alg: 'EdDSA' },
    'X25519 labelled as Ed25519, and too short': { ...named, alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519', x: 'AAAA' },
    'for encryption': { ...p256, kid: 'weak', use: 'enc' },
    'for signatures by use, but not for verification by key_ops': { ...p256, kid: 'weak', key_ops: ['encrypt'] },
    'without alg': { ...p256, kid: 'weak', alg: undefined },
    'alg none': { ...p256, kid: 'weak', alg: 'none' },
    'alg PS256': { ...publicOf(rsa), kid: 'weak', alg: 'PS256' },
    'alg of another kind of key': { ...p256, kid: 'weak', alg: 'RS256' },
    'alg constructor': { ...named, alg: 'constructor' },
    'alg __proto__': JSON.parse('{"kid":"weak","alg":"__proto__"}'),
    'without kty': { ...p256, kid: 'weak', kty: undefined },
    'without coordinates': { ...named, alg: 'ES256', kty: 'EC', crv: 'P-256' },
  }
  for (const [name, jwk] of Object.entries(wrong))
    await t.rejects(async () => importVerificationKey(parseTokenJwk(jwk)), { message: /^key weak: / }, name)
  for (const kid of [undefined, null, '', 1, ['a'], 'a b', 'a/b', '../a', 'a\n', 'ä', 'x'.repeat(129)])
    t.throws(
      () => parseTokenJwk({ ...p256, kid }),
      /each key must have a kid of 1 to 128/,
      JSON.stringify(kid)?.slice(0, 20),
    )
  for (const nothing of [null, undefined, 'key', 1, [], {}])
    t.throws(() => parseTokenJwk(nothing), /each key must have a kid/)
  for (const jwk of keys) await importVerificationKey(parseTokenJwk(publicOf(jwk)))
  await importVerificationKey(parseTokenJwk({ ...publicOf(rsaOf(2048)), ...named, alg: 'RS256' }))
  t.pass('valid keys are accepted')
})

t.test('requires a complete private key that matches its published public key', async t => {
  for (const jwk of keys) {
    const other = await generateTokenKey(jwk.alg)
    await t.rejects(
      importSigningKey(publicOf(jwk)),
      { message: /^key \S+: not a usable key$/ },
      `${jwk.alg} without its private part`,
    )
    const mixed = { ...other, ...publicOf(jwk), d: other.d } as TokenJwk
    await t.rejects(importSigningKey(mixed), { message: /^key / }, `${jwk.alg} with the private part of another`)
    t.match(await importSigningKey(jwk), { kid: jwk.kid, algorithm: jwk.alg })
  }
})

t.test('does not quote a key in an error message', async t => {
  const secret = ec.d as string
  const spoiled = [
    { ...ec, x: secret },
    { ...ec, x: `${secret}!` },
    { ...ec, d: `${secret}${secret}` },
    { ...ec, kty: secret },
    { ...ec, alg: secret },
    { ...ec, use: secret },
  ]
  for (const jwk of spoiled) {
    const problem = await (async () => importSigningKey(parseTokenJwk(jwk)))().catch((error: Error) => error)
    t.ok(problem instanceof Error && problem.message.startsWith('key '), 'the key is rejected')
    t.ok(
      !(problem as Error).message.includes(secret) && (problem as Error).cause === undefined,
      'the message does not contain it',
    )
  }
})

t.test('publishes each public key once, with its algorithm and use, and no private member (JW34)', async t => {
  const server = await startTestServer({ signingKeys: keys })
  t.teardown(() => server.close())
  const { body, text, headers } = await (await server.connect(null)).get('/oauth/jwks')
  t.match(headers, { 'content-type': /^application\/json/ })
  t.same(Object.keys(body), ['keys'])
  t.same(
    body.keys,
    keys.map(publicOf).map(jwk => JSON.parse(JSON.stringify(jwk))),
    'in the order of the settings',
  )
  for (const key of body.keys) {
    const allowed = { EC: ['x', 'y', 'crv'], OKP: ['x', 'crv'], RSA: ['n', 'e'] }[key.kty as 'EC']
    t.same(Object.keys(key).sort(), ['alg', 'kid', 'kty', 'use', ...allowed].sort())
    t.equal(key.use, 'sig')
  }
  t.equal(new Set(body.keys.map((key: TokenJwk) => key.kid)).size, keys.length)
  for (const secret of keys.flatMap(({ d, p, q, dp, dq, qi }) => [d, p, q, dp, dq, qi]))
    if (secret !== undefined) t.notOk(text.includes(secret as string))
})

t.test('tries all keys of an issuer that have the same kid (RFC 7517 §4.5)', async t => {
  const register = async (...list: unknown[]) => {
    const app = Fastify()
    await app.register(requireToken, { issuer, audience: issuer, jwks: { keys: list } })
    await app.close()
  }
  await t.resolves(register(publicOf(ec), { ...publicOf(rsa), kid: ec.kid }))
  await t.rejects(register(), { message: /^jwks: / }, 'control: no key')
})

t.test('leaves extra members of a configured key out of the published set (JW34)', async t => {
  const jwk = { ...ec, k: 'secret', oth: [{ r: 'secret' }], x5c: ['secret'], comment: 'secret' } as TokenJwk
  const { publicJwk } = await importSigningKey(parseTokenJwk(jwk))
  t.same(Object.keys(publicJwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

t.test('requires a signing key file that only its owner can read, with unique kids (JW32)', async t => {
  const folder = t.testdir({
    good: JSON.stringify({ keys: [ec, rsa] }),
    open: JSON.stringify({ keys: [ec] }),
    twice: JSON.stringify({ keys: [ec, { ...rsa, kid: ec.kid }] }),
    ended: JSON.stringify({ keys: [{ ...ec, exp: 1 }] }),
    paseto: JSON.stringify({ keys: [await generateTokenKey('v4.public')] }),
    operations: JSON.stringify({ keys: [{ ...ec, key_ops: 1 }] }),
    empty: '{"keys":[]}',
    list: JSON.stringify([ec]),
    words: 'no keys',
    public: JSON.stringify({ keys: [publicOf(ec)] }),
    secret: '{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"AAAA"}]}',
    certificate: '-----BEGIN CERTIFICATE-----',
  })
  const read = async (name: string) => {
    await loadKeyRing(join(folder, name), Date.now() / 1000)
    return importKeysFile(join(folder, name))
  }
  for (const name of [
    'good',
    'ended',
    'paseto',
    'operations',
    'twice',
    'empty',
    'list',
    'words',
    'public',
    'secret',
    'certificate',
  ])
    chmodSync(join(folder, name), 0o600)
  t.match(await read('good'), [{ kid: ec.kid }, { kid: rsa.kid }])
  for (const mode of [0o640, 0o604, 0o644, 0o620, 0o602, 0o660]) {
    chmodSync(join(folder, 'open'), mode)
    await t.rejects(read('open'), /open: others can read this secret/, mode.toString(8))
  }
  chmodSync(join(folder, 'open'), 0o400)
  t.match(await read('open'), [{ kid: ec.kid }])
  await t.rejects(read('twice'), {
    message: `${join(folder, 'twice')}: two keys have the kid ${ec.kid}; remove one of them`,
  })
  await t.rejects(
    read('ended'),
    /ended: no signing key is valid now: each one starts later \(nbf\) or has expired \(exp\)/,
  )
  await t.rejects(read('paseto'), /paseto: no signing key is for JWTs; add one with tlsbound keys rotate$/)
  await t.rejects(read('operations'), /operations: key .*: key_ops must be a list with sign or verify/)
  for (const name of ['empty', 'list', 'words', 'public', 'secret', 'certificate', 'missing'])
    await t.rejects(read(name), new RegExp(name), name)
})

t.test('creates a missing key file once, for its owner only, and does not replace it', async t => {
  const path = join(t.testdir(), 'data', 'keys.json')
  await t.rejects(importKeysFile(path), /there is no such file/, 'reading does not create it')
  for (const algorithm of algorithms) {
    const own = `${path}.${algorithm}`
    await ensureKeysFile(own, algorithm)
    const [made] = await importKeysFile(own)
    t.equal(made?.algorithm, algorithm)
    t.equal(statSync(own).mode & 0o777, 0o600)
    const text = readFileSync(own, 'utf8')
    await ensureKeysFile(own, 'ES256')
    t.match(await importKeysFile(own), [{ kid: made?.kid }], 'whatever algorithm is set later')
    t.equal(readFileSync(own, 'utf8'), text)
  }
  t.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
})

t.test('generates no key for an unknown algorithm', async t => {
  for (const algorithm of ['HS256', 'es256', 'none', '', undefined, null, ['ES256']])
    await t.rejects(generateTokenKey(algorithm as never), {
      name: 'TypeError',
      message: /^algorithm must be one of ES256, EdDSA, RS256, v4\.public, not /,
    })
  t.match(await generateTokenKey('EdDSA'), { alg: 'EdDSA' }, 'control')
})
