// PASETO forged in each way that the form allows: another version or purpose, a key of another purpose, another footer, another implicit
// assertion. JW02 – JW07, JW24, JW26 again for this form. PASETO specification: Version4, Algorithm Lucidity, Payload Processing; PASERK.
import { createHash, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createKeyRing } from '../../../src/keys/key-ring.ts'
import { generateTokenKey, importSigningKeys, type TokenJwk } from '../../../src/keys/token-keys.ts'
import { startTestServer } from '../../../src/testing/server.ts'
import { type Row, refuseEach } from '../../helpers/server/refusals.ts'
import { forgePaseto, implicitOf, type PasetoForgery } from '../../helpers/tokens/forge-paseto.ts'
import { claimsFor, encode, forgeToken, headerOf, issuer } from '../../helpers/tokens/forge-token.ts'

const [ec, ofJwt, key, stranger] = (await Promise.all(
  (['ES256', 'EdDSA', 'v4.public', 'v4.public'] as const).map(generateTokenKey),
)) as [TokenJwk, TokenJwk, TokenJwk, TokenJwk]
const server = await startTestServer({ signingKeys: [ec, ofJwt, key] })
t.teardown(() => server.close())
const alice = await server.connect('alice')
const served = { status: 200, body: { client_id: 'alice' } }
const claims = claimsFor(alice, server)
const forge = (more: Partial<PasetoForgery> = {}) => forgePaseto({ jwk: key, claims, ...more })

t.beforeEach(async t => {
  t.match(await alice.get('/api/whoami', forge()), served, 'control: the same token without a change')
})

t.test('rejects every other version and purpose, whatever key signed it (JW02, JW03, N-72)', async t => {
  const octets = Buffer.concat([Buffer.alloc(32, 1), Buffer.from(JSON.stringify(claims)), Buffer.alloc(32, 2)])
  const footer = encode(`{"kid":"${key.kid}"}`)
  const versions = [
    'v1.public.',
    'v2.public.',
    'v3.public.',
    'v5.public.',
    'v04.public.',
    'v4.local.',
    'v3.local.',
    'v4.secret.',
  ]
  await refuseEach(t, server, alice, [
    ...versions.flatMap((header): Row[] => [
      [`${header} signed`, forge({ header })],
      [`${header} signed as v4.public`, forge({ sent: header })],
      [`v4.public signed as ${header}`, forge({ header, sent: 'v4.public.' })],
    ]),
    ...['v4.local.', 'v3.local.', 'v2.local.', 'v1.local.'].map(
      (header): Row => [header, `${header}${encode(octets)}.${footer}`],
    ),
    ['v4.public with the public key as a MAC key', symmetric(String(key.x))],
    ['V4.public.', forge({ sent: 'V4.public.' })],
    ['v4.PUBLIC.', forge({ sent: 'v4.PUBLIC.' })],
    ['v4.public', forge({ sent: 'v4.public' })],
    ['k4.public.', forge({ sent: 'k4.public.' })],
  ])
})

/** A payload whose signature is a hash keyed with the public key, as a library that confuses keys could compute it. */
function symmetric(x: string): string {
  const message = Buffer.from(JSON.stringify(claims))
  const mac = createHash('sha512').update(Buffer.from(x, 'base64url')).update(message).digest()
  return `v4.public.${encode(Buffer.concat([message, mac]))}.${encode(`{"kid":"${key.kid}"}`)}`
}

t.test('rejects a key of another purpose, in both directions (JW03, JW26, N-72)', async t => {
  const withKid = (jwk: TokenJwk, kid: string) => forge({ jwk, footer: `{"kid":"${kid}"}` })
  await refuseEach(t, server, alice, [
    ['the key of JWTs, with the id of the PASETO key', withKid(ofJwt, key.kid)],
    ['the key of JWTs, with its own id', withKid(ofJwt, ofJwt.kid)],
    ['an unknown key', forge({ jwk: stranger })],
    ['an unknown key, with the known id', withKid(stranger, key.kid)],
    ['a JWT by the PASETO key called EdDSA', forgeToken({ jwk: { ...key, alg: 'EdDSA' }, claims })],
    ['a JWT by the PASETO key called v4.public', jwtBy(key, 'v4.public')],
    ['a JWT by the PASETO key with the kid of the JWT key', jwtBy({ ...key, kid: ofJwt.kid }, 'EdDSA')],
  ])
  t.match(await alice.get('/api/whoami', forgeToken({ jwk: ofJwt, claims })), served, 'control: a JWT by its own key')
})

const jwtBy = (jwk: TokenJwk, alg: string) =>
  forgeToken({ jwk: { ...jwk, alg: 'EdDSA' }, header: { ...headerOf(jwk), alg }, claims })

t.test('refuses keys that are for both purposes, or whose id is not the PASERK id (N-72)', async t => {
  const both = await importSigningKeys([{ ...key, alg: 'EdDSA', kid: 'same' } as TokenJwk, key])
  t.throws(() => createKeyRing(both, server.clock), /is also one for JWTs/)
  t.ok(createKeyRing(await importSigningKeys([ofJwt, key]), server.clock), 'control')
  await t.rejects(importSigningKeys([{ ...key, kid: stranger.kid }]), /must have its PASERK id as kid, k4\.pid\./)
  await t.rejects(importSigningKeys([{ ...key, kid: 'mine' }]), /must have its PASERK id/)
})

t.test('rejects another footer, moved octets, and keys in the footer (JW04, JW05, JW06, JW07, N-73)', async t => {
  const token = forge()
  const [, , payload = '', footer = ''] = token.split('.')
  const other = forge({ claims: { ...claims, sub: 'bob' } })
  const attacker = generateKeyPairSync('ed25519')
  const own = { ...attacker.privateKey.export({ format: 'jwk' }), kid: key.kid } as unknown as TokenJwk
  const { x } = own
  await refuseEach(t, server, alice, [
    ['no footer', `v4.public.${payload}`],
    ['an empty footer', `v4.public.${payload}.`],
    ['signed without a footer', forge({ footer: null })],
    ['the footer of an unknown key', `v4.public.${payload}.${encode(`{"kid":"${stranger.kid}"}`)}`],
    ['the payload of another token with its footer', `v4.public.${other.split('.')[2]}x.${footer}`],
    ['a footer twice', `${token}.${footer}`],
    ['a footer of 64 KiB, as far as a header can be', forge({ footer: 'x'.repeat(3000) })],
    ['a nested footer', forge({ footer: `{"kid":${'['.repeat(40)}` })],
    ['a footer with a member twice', forge({ footer: `{"kid":"${stranger.kid}","kid":"${key.kid}"}` })],
    ['a footer with a wrapped key', forge({ footer: `{"kid":"${key.kid}","wpk":"k4.seal.x"}` })],
    ['the public key of the thief in the footer', forge({ jwk: own, footer: `{"kid":"k4.public.${x}"}` })],
    ['a PASERK of the thief as footer', forge({ jwk: own, footer: `k4.public.${x}` })],
    ['a JWK of the thief in the footer', forge({ jwk: own, footer: JSON.stringify({ kid: key.kid, jwk: { x } }) })],
    ['a URL in the footer', forge({ jwk: own, footer: `{"kid":"${key.kid}","jku":"${server.origin}/x"}` })],
    ...['', '../../dev/null', '__proto__', 'constructor', "' OR 1=1"].map(
      (kid): Row => [`kid ${kid}`, forge({ footer: JSON.stringify({ kid }) })],
    ),
    ...[null, 1, [key.kid], { kid: key.kid }].map(
      (kid): Row => [`kid ${JSON.stringify(kid)}`, forge({ footer: JSON.stringify({ kid }) })],
    ),
    ['a footer that is not UTF-8', forge({ footer: Buffer.from([0xff, 0xfe, 0x80]) })],
    ['a footer that is text', forge({ footer: 'arbitrary text' })],
  ])
})

t.test('rejects a token that was signed for another issuer or purpose (JW24, N-74)', async t => {
  await refuseEach(t, server, alice, [
    ['no implicit assertion', forge({ implicit: '' })],
    ['of another issuer', forge({ implicit: implicitOf('https://other.example') })],
    ['of another purpose', forge({ implicit: `{"iss":"${issuer}","purpose":"refresh token"}` })],
    ['members in another order', forge({ implicit: `{"purpose":"access token","iss":"${issuer}"}` })],
    ['with a space', forge({ implicit: `${implicitOf()} ` })],
    ['the issuer alone', forge({ implicit: issuer })],
    ['the implicit assertion as footer', forge({ implicit: '', footer: implicitOf() })],
    ['another iss in the claims', forge({ claims: { ...claims, iss: 'https://other.example' } }), 'wrong_issuer'],
  ])
})
