// Well-signed proofs with one invalid member of their header or payload.
import { createHash } from 'node:crypto'
import { withMember } from '../../test/helpers/tokens/forge-proof.ts'
import { ekmOf, now, type ProofCase } from './proof-case.ts'

type Row = readonly [name: string, wrong: string, changes: ProofCase['header'], more?: Partial<ProofCase>]

const headers: readonly Row[] = [
  ['no typ', 'typ is missing', { typ: undefined }],
  ['typ JWT', 'another typ', { typ: 'JWT' }],
  ['typ of DPoP', 'another typ', { typ: 'dpop+jwt' }],
  ['typ in capitals', 'typ is compared letter by letter', { typ: 'TLS-Binding-Proof+JWT' }],
  ['typ in full', 'typ is compared letter by letter', { typ: 'application/tls-binding-proof+jwt' }],
  ['no x5t#S256', 'x5t#S256 is missing', { 'x5t#S256': undefined }],
  ['x5t#S256 of another', 'the thumbprint of another certificate', { 'x5t#S256': ekmOf('p256') }],
  ['x5t', 'a member that is not known', { x5t: 'AAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
  ['crit', 'crit', { crit: ['exp'] }, { jws: 'invalid' }],
  ['b64', 'b64', { b64: true }, { jws: 'varies' }],
  ['kid', 'a member that is not known', { kid: 'PUBLIC-TEST-KEY-p256' }],
  ['jwk', 'a header that brings a key', { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }],
  ['x5c', 'a header that brings a certificate', { x5c: ['AA=='] }],
  ['jku', 'a header that says where a key is', { jku: 'https://keys.example/jwks' }],
  ['cty', 'a member that is not known', { cty: 'JWT' }],
  ['zip', 'a member that is not known', { zip: 'DEF' }, { jws: 'varies' }],
  ['alg missing', 'alg is missing', { alg: undefined }, { jws: 'invalid' }],
  [
    'typ twice',
    'typ twice, the last is another one',
    good => withMember(good, '"typ":"JWT"', 'last'),
    { jws: 'varies' },
  ],
  ['header a list', 'the header is a list', good => JSON.stringify([good]), { jws: 'invalid' }],
  ['header no JSON', 'the header is no JSON', () => '{typ:1}', { jws: 'invalid' }],
]

/** In hexadecimal digits, with padding, truncated, and longer. */
const respelled = (name: 'ath' | 'ekm'): Row[] => {
  const change = (spell: (value: string) => unknown) => (good: object) =>
    JSON.stringify({ ...good, [name]: spell((good as Record<string, string>)[name] as string) })
  const hex = (value: string) => Buffer.from(value, 'base64url').toString('hex')
  return [
    [`no ${name}`, `${name} is missing`, { [name]: undefined }],
    [`${name} null`, `${name} is null`, { [name]: null }],
    [`${name} a list`, `${name} is a list`, change(value => [value])],
    [`${name} in hex`, `${name} is in hexadecimal digits`, change(hex)],
    [`${name} padded`, `${name} has padding`, change(value => `${value}=`)],
    [`${name} cut`, `the last letter of ${name} is not there`, change(value => value.slice(0, -1))],
    [`${name} of 31 octets`, `${name} stands for 31 octets`, change(value => value.slice(0, -2))],
    [`${name} beyond ASCII`, `a letter of ${name} takes two octets`, change(value => `\u00e9${value.slice(1)}`)],
  ]
}
const digest = (text: string, name = 'sha256') => createHash(name).update(text).digest('base64url')

const claims: readonly Row[] = [
  ...respelled('ath'),
  ['ath of another token', 'the hash of another token', { ath: digest('another token') }],
  ['ath of nothing', 'the hash of nothing', { ath: digest('') }],
  ...respelled('ekm'),
  ['ekm of another connection', 'what another connection exports', { ekm: ekmOf('p256, a later connection') }],
  ['ekm hashed', 'the hash of what the connection exports', { ekm: digest(ekmOf('p256')) }],
  ['ekm zeros', 'zeros', { ekm: 'A'.repeat(43) }],
  ['no iat', 'iat is missing', { iat: undefined }],
  ['iat a text', 'iat is a text', { iat: `${now}` }],
  ['60.5 s old', 'iat is more than 60 s ago, by a fraction', { iat: now - 60.5 }],
  ['iat negative', 'iat is before 1970', { iat: -now }],
  ['iat in milliseconds', 'iat is in milliseconds', { iat: now * 1000 }],
  ['iat endless', 'iat is beyond all numbers', good => JSON.stringify(good).replace(`${now}`, '1e400')],
  ['61 s old', 'iat is more than 60 s ago', { iat: now - 61 }],
  ['6 s ahead', 'iat is more than 5 s ahead', { iat: now + 6 }],
  ['seen too late', 'a good proof, first seen after 61 s', {}, { clock: 61 }],
  ['jti empty', 'jti is empty', { jti: '' }],
  ['jti a number', 'jti is a number', { jti: 1 }],
  ['jti null', 'jti is null', { jti: null }],
  ['jti too long', 'jti has more than 256 characters', { jti: 'j'.repeat(257) }],
  ['htm POST', 'another method', { htm: 'POST' }],
  ['htm get', 'htm in small letters', { htm: 'get' }],
  ['htm a list', 'htm is a list', { htm: ['GET'] }],
  ['htu of another', 'another path', { htu: '/notes/1' }],
  ['htu with its query', 'htu has a query', { htu: '/notes?limit=10' }],
  ['htu with a fragment', 'htu has a fragment', { htu: '/notes#1' }],
  ['htu with a slash', 'a slash at the end', { htu: '/notes/' }],
  ['htu in capitals', 'paths are compared letter by letter', { htu: '/NOTES' }],
  ['htu encoded', 'paths are compared as they are spelled', { htu: '/%6Eotes' }],
  ['htu without TLS', 'http', { htu: 'http://api.example/notes' }],
  ['htu without scheme', 'no scheme and no path', { htu: '//api.example/notes' }],
  ['htu empty', 'htu is empty', { htu: '' }],
  ['htu null', 'htu is null', { htu: null }],
  ['exp', 'a claim that is not known', { exp: now + 60 }],
  ['aud', 'a claim that is not known', { aud: 'https://api.example' }],
  ['nonce', 'a claim that is not known', { nonce: 'n' }],
  ['ATH', 'a claim that is not known', { ATH: 'x' }],
  ['iat twice', 'iat twice, the last is old', good => withMember(good, `"iat":${now - 61}`, 'last')],
  ['payload a list', 'the payload is a list', good => JSON.stringify([good])],
  ['payload no JSON', 'the payload is no JSON', () => 'ath'],
  ['too long', 'more than 4096 characters', good => JSON.stringify({ ...good, htu: '/notes' }) + ' '.repeat(3000)],
]

export const badClaims: readonly ProofCase[] = [
  ...headers.map(([name, wrong, header, more]): ProofCase => ({ name, wrong, ...(header && { header }), ...more })),
  ...claims.map(([name, wrong, payload, more]): ProofCase => ({ name, wrong, ...(payload && { payload }), ...more })),
]
