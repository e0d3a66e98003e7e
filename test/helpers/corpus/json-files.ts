// JSON files: key sets with private and with public keys, keys of leak reporters, and lists; their form and their content
// (RFC 8259, RFC 7517, RFC 7518 §6).
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { JsonEntry, Kind, LoadVerdict } from './entry.ts'
import { encodeNumber, type Key, type KeyName, keyOf } from './keys.ts'

type Row = readonly [content: string | Buffer, load?: LoadVerdict]

const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

/** Writes a JSON text in every form in which such files reach a server. `text` must begin with [ or {. */
function writeJson(text: string): Readonly<Record<string, Row>> {
  const [open = '', close = ''] = text.startsWith('[') ? '[]' : '{}'
  const inside = text.slice(1, -1)
  const longName = `"${'x'.repeat(1_000_000)}"`
  return {
    plain: [text, 'loaded'],
    'pretty printed, CRLF': [JSON.stringify(JSON.parse(text), null, 2).replaceAll('\n', '\r\n'), 'loaded'],
    'line end at the end': [`${text}\n`, 'loaded'],
    'byte order mark': [`\ufeff${text}`],
    'UTF-16, little endian': [Buffer.from(`\ufeff${text}`, 'utf16le'), 'refused'],
    'UTF-16, big endian': [Buffer.from(`\ufeff${text}`, 'utf16le').swap16(), 'refused'],
    'Latin-1': [Buffer.concat([Buffer.from(`${open}"x`), Buffer.from([0xe9]), Buffer.from(`":1${close}`)]), 'refused'],
    empty: ['', 'refused'],
    'spaces only': [' \n\t', 'refused'],
    null: ['null', 'refused'],
    true: ['true', 'refused'],
    number: ['42', 'refused'],
    text: ['"-----BEGIN"', 'refused'],
    'the other bracket': [text.startsWith('[') ? '{}' : '[]', 'refused'],
    'a list of null': [text.startsWith('[') ? '[null]' : '{"keys":[null],"public_keys":[null]}', 'refused'],
    'a list of lists': [text.startsWith('[') ? '[[[]]]' : '{"keys":[[]],"public_keys":[[]]}', 'refused'],
    'a list of texts': [text.startsWith('[') ? '["x"]' : '{"keys":["x"],"public_keys":["x"]}', 'refused'],
    'an object in place of the list': [
      text.startsWith('[') ? '{"0":{}}' : '{"keys":{"length":1},"public_keys":{"length":1}}',
      'refused',
    ],
    'comma at the end': [`${open}${inside},${close}`, 'refused'],
    comment: [`// ours\n${text}`, 'refused'],
    'comment between': [`${open}/* ours */${inside}${close}`, 'refused'],
    'single quotes': [text.replaceAll('"', "'"), 'refused'],
    'typographic quotes': [text.replaceAll('"', '”'), 'refused'],
    'cut at the end': [text.slice(0, -1), 'refused'],
    'cut in the middle': [text.slice(0, text.length / 2), 'refused'],
    'text behind it': [`${text} and so on`, 'refused'],
    twice: [text + text, 'refused'],
    'JSON lines': [`${text}\n${text}\n`, 'refused'],
    'a control character in a text': [text.replace(/"(\w)/, '"\u0001$1'), 'refused'],
    'NUL octets behind it': [`${text}\0\0\0`, 'refused'],
    'a number with leading zero': [`${open}${text.startsWith('[') ? '01' : '"a":01'}${close}`, 'refused'],
    NaN: [`${open}${text.startsWith('[') ? 'NaN' : '"a":NaN'}${close}`, 'refused'],
    '100 000 brackets': [deep(100_000), 'refused'],
    '1000 brackets inside': [text.startsWith('[') ? `[${deep(1000)}]` : `{"keys":${deep(1000)}}`, 'refused'],
    'a text of 1 MB': [text.startsWith('[') ? `[${longName}]` : `{${longName}:1}`, 'refused'],
    '50 000 members': [
      text.startsWith('[')
        ? `[${'1,'.repeat(50_000)}1]`
        : `{${Array.from({ length: 50_000 }, (_, at) => `"m${at}":1`).join()}}`,
      'refused',
    ],
    'a web page': ['<!DOCTYPE html><title>Sign in</title>', 'refused'],
    YAML: ['keys:\n  - kty: EC\n', 'refused'],
    PEM: ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'refused'],
  }
}

type Jwk = Readonly<Record<string, unknown>>

const privateJwk = (key: Key) => key.privateKey.export({ format: 'jwk' }) as Jwk
const publicJwk = (key: Key) => key.publicKey.export({ format: 'jwk' }) as Jwk
const set = (...keys: unknown[]) => JSON.stringify({ keys })

/** Inserts a member before all others of the first key of a JSON text. */
const withFirst = (text: string, member: string) => text.replace('{"keys":[{', `{"keys":[{${member},`)

const ec = keyOf('P-256')
const rsa = keyOf('RSA 2048')
const ed = keyOf('Ed25519')
const other = keyOf('third')

function signingKeySets(): Readonly<Record<string, Row>> {
  const es: Jwk = { ...privateJwk(ec), kid: 'es', alg: 'ES256', use: 'sig' }
  const rs: Jwk = { ...privateJwk(rsa), kid: 'rs', alg: 'RS256', use: 'sig' }
  const ed25519: Jwk = { ...privateJwk(ed), kid: 'ed', alg: 'EdDSA', use: 'sig' }
  const { d: _, ...onlyPublic } = es
  const { n, e, d } = rs
  return {
    ...writeJson(set(es)),
    ES256: [set(es), 'loaded'],
    RS256: [set(rs), 'loaded'],
    EdDSA: [set(ed25519), 'loaded'],
    'three kinds': [set(es, rs, ed25519), 'loaded'],
    'no keys': [set(), 'refused'],
    'no member keys': ['{"jwks":[]}', 'refused'],
    'a public key': [set(onlyPublic), 'refused'],
    'no kid': [set({ ...es, kid: undefined }), 'refused'],
    'kid a number': [set({ ...es, kid: 1 }), 'refused'],
    'kid empty': [set({ ...es, kid: '' }), 'refused'],
    'kid with a line end': [set({ ...es, kid: 'a\nb' }), 'refused'],
    'kid of 1 MB': [set({ ...es, kid: 'x'.repeat(1_000_000) }), 'refused'],
    'two keys under one kid': [set(es, { ...privateJwk(other), kid: 'es', alg: 'ES256' }), 'refused'],
    'the same key twice': [set(es, es), 'refused'],
    'no alg': [set({ ...es, alg: undefined }), 'refused'],
    'alg none': [set({ ...es, alg: 'none' }), 'refused'],
    'alg HS256': [set({ ...es, alg: 'HS256' }), 'refused'],
    'alg of another kind': [set({ ...es, alg: 'RS256' }), 'refused'],
    'alg __proto__': [set({ ...es, alg: '__proto__' }), 'refused'],
    'alg constructor': [set({ ...es, alg: 'constructor' }), 'refused'],
    'use enc': [set({ ...es, use: 'enc' }), 'refused'],
    'use an array': [set({ ...es, use: ['sig'] }), 'refused'],
    'key_ops verify': [set({ ...es, key_ops: ['verify'] })],
    'key_ops encrypt': [set({ ...es, key_ops: ['encrypt'] }), 'refused'],
    'key_ops a text': [set({ ...es, key_ops: 'sign' })],
    'key_ops a number': [set({ ...es, key_ops: 1 }), 'refused'],
    'key_ops null': [set({ ...es, key_ops: null })],
    'kty unknown': [set({ ...es, kty: 'XX' }), 'refused'],
    'kty oct': [set({ kty: 'oct', k: 'c2VjcmV0', kid: 'o', alg: 'HS256' }), 'refused'],
    'curve of another key': [set({ ...es, crv: 'P-384' }), 'refused'],
    secp256k1: [set({ ...privateJwk(keyOf('secp256k1')), kid: 'k', alg: 'ES256' }), 'refused'],
    'P-384 as ES256': [set({ ...privateJwk(keyOf('P-384')), kid: 'k', alg: 'ES256' }), 'refused'],
    Ed448: [set({ ...privateJwk(keyOf('Ed448')), kid: 'k', alg: 'EdDSA' }), 'refused'],
    X25519: [set({ ...privateJwk(keyOf('X25519')), kid: 'k', alg: 'EdDSA' }), 'refused'],
    'RSA 1024': [set({ ...privateJwk(keyOf('RSA 1024')), kid: 'k', alg: 'RS256' }), 'refused'],
    'RSA 2047': [set({ ...privateJwk(keyOf('RSA 2047')), kid: 'k', alg: 'RS256' }), 'refused'],
    'RSA with e=3': [set({ ...privateJwk(keyOf('RSA with e=3')), kid: 'k', alg: 'RS256' }), 'refused'],
    'RSA 8192': [set({ ...privateJwk(keyOf('RSA 8192')), kid: 'k', alg: 'RS256' }), 'loaded'],
    'RSA without primes': [set({ kty: 'RSA', n, e, d, kid: 'k', alg: 'RS256' }), 'refused'],
    'RSA with other primes': [set({ ...rs, p: privateJwk(keyOf('RSA with e=3')).p })],
    'a point off the curve': [set({ ...es, x: 'AAAA' }), 'refused'],
    'a point of another key': [set({ ...es, x: publicJwk(other).x, y: publicJwk(other).y }), 'refused'],
    'a private number of zero': [set({ ...es, d: Buffer.alloc(32).toString('base64url') }), 'refused'],
    'a private number over the order': [set({ ...es, d: Buffer.alloc(32, 0xff).toString('base64url') }), 'refused'],
    'd in base64 with padding': [set({ ...es, d: `${es.d}=` })],
    'd a number': [set({ ...es, d: 5 }), 'refused'],
    'd empty': [set({ ...es, d: '' }), 'refused'],
    'x of 1 MB': [set({ ...es, x: 'A'.repeat(1_000_000) }), 'refused'],
    'nbf a text': [set({ ...es, nbf: '1' }), 'refused'],
    'nbf a fraction': [set({ ...es, nbf: 1.5 }), 'refused'],
    'nbf 1e400': [set(es).replace('"use"', '"nbf":1e400,"use"'), 'refused'],
    'exp in the past': [set({ ...es, exp: 1 })],
    'nbf tomorrow': [set({ ...es, nbf: Math.floor(Date.now() / 1000) + 86_400 })],
    'nbf and exp negative': [set({ ...es, nbf: -1, exp: -1 })],
    'an unknown member': [set({ ...es, x5u: 'https://127.0.0.1:9/' }), 'loaded'],
    'member twice': [withFirst(set(es), '"d":"AAAA"')],
    'kid twice': [withFirst(set(es), '"kid":"other"')],
    'keys twice': [`{"keys":[],${set(es).slice(1)}`],
    '__proto__ as member': [withFirst(set(es), '"__proto__":{"alg":"none"}')],
    '20 keys': [set(...Array.from({ length: 20 }, (_, at) => ({ ...ed25519, kid: `k${at}` })))],
  }
}

interface IssuerKeys {
  readonly content: string | Buffer
  readonly load?: LoadVerdict | undefined
  /** A key that signs a token under this header; it must be accepted if the set is loaded, unless it is weak. */
  readonly signer?: { readonly key: KeyObject; readonly alg: string; readonly kid?: string; readonly isWeak?: boolean }
}

function issuerKeySets(): Readonly<Record<string, IssuerKeys>> {
  const es: Jwk = { ...publicJwk(ec), kid: 'k', alg: 'ES256', use: 'sig' }
  const signer = { key: ec.privateKey, alg: 'ES256', kid: 'k' }
  const of = (name: KeyName, alg: string, isWeak = false): IssuerKeys => ({
    content: set({ ...publicJwk(keyOf(name)), kid: 'k', alg }),
    signer: { key: keyOf(name).privateKey, alg, kid: 'k', isWeak },
  })
  const single = (jwk: Jwk, load?: LoadVerdict, isWeak = false): IssuerKeys => ({
    content: set(jwk),
    load,
    signer: { ...signer, isWeak },
  })
  const lists = Object.entries(writeJson(set(es))).map(
    ([name, [content, load]]) => [name, { content, load, signer }] as const,
  )
  const secret = Buffer.alloc(32, 7).toString('base64url')
  const twin = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    ...Object.fromEntries(lists),
    ES256: of('P-256', 'ES256'),
    ES384: of('P-384', 'ES384'),
    ES512: of('P-521', 'ES512'),
    EdDSA: of('Ed25519', 'EdDSA'),
    RS256: of('RSA 2048', 'RS256'),
    'RSA 4096': of('RSA 4096', 'RS256'),
    'RSA 1024': of('RSA 1024', 'RS256', true),
    'RSA 2047': of('RSA 2047', 'RS256', true),
    'RSA with e=3': of('RSA with e=3', 'RS256'),
    'RSA with e=1': {
      content: set({ ...publicJwk(rsa), e: 'AQ', kid: 'k', alg: 'RS256' }),
      signer: { key: rsa.privateKey, alg: 'RS256', kid: 'k', isWeak: true },
    },
    'RSA with an even e': {
      content: set({ ...publicJwk(rsa), e: encodeNumber(65_536n), kid: 'k', alg: 'RS256' }),
      signer: { key: rsa.privateKey, alg: 'RS256', kid: 'k', isWeak: true },
    },
    'RSA of 160 000 bits': {
      content: set({ kty: 'RSA', n: Buffer.alloc(20_000, 0xff).toString('base64url'), e: 'AQAB', kid: 'k' }),
    },
    secp256k1: of('secp256k1', 'ES256K', true),
    'no keys': { content: set(), load: 'refused' },
    'no member keys': { content: '{}', load: 'refused' },
    'unknown kty alone': single({ kty: 'XX', kid: 'k' }, undefined, true),
    'unknown kty beside a good one': { content: set({ kty: 'XX', kid: 'x' }, es), signer },
    'null beside a good one': { content: set(null, es), signer },
    'a key for encryption alone': single({ ...es, use: 'enc' }, undefined, true),
    'key_ops encrypt': single({ ...es, key_ops: ['encrypt'] }, undefined, true),
    'key_ops sign': single({ ...es, key_ops: ['sign'] }, undefined, true),
    'alg of another kind': single({ ...es, alg: 'RS256' }, undefined, true),
    'alg none': single({ ...es, alg: 'none' }, undefined, true),
    'no alg, no use': single({ ...publicJwk(ec), kid: 'k' }, 'loaded'),
    'no kid': { content: set(publicJwk(ec)), load: 'loaded', signer: { key: ec.privateKey, alg: 'ES256' } },
    'kid a number': { content: set({ ...es, kid: 7 }), signer: { ...signer, isWeak: true } },
    'two keys under one kid': { content: set(es, { ...publicJwk(twin), kid: 'k', alg: 'ES256' }), signer },
    'the same key twice': { content: set(es, es), signer },
    'a private key': single({ ...privateJwk(ec), kid: 'k' }, 'refused'),
    'a symmetric key': { content: set({ kty: 'oct', k: secret, kid: 'k', alg: 'HS256' }), load: 'refused' },
    'a symmetric key beside a good one': {
      content: set(es, { kty: 'oct', k: secret, kid: 's' }),
      load: 'refused',
      signer,
    },
    'a private member of RSA': {
      content: set({ ...publicJwk(rsa), p: 'AQAB', kid: 'k' }),
      signer: { ...signer, isWeak: true },
    },
    'a point off the curve': single({ ...es, x: 'AAAA' }, 'refused', true),
    'a point off the curve, of the right length': single({ ...es, y: publicJwk(other).y }, 'refused', true),
    'x with spaces': single({ ...es, x: ` ${es.x}` }),
    'x a number': single({ ...es, x: 5 }, 'refused', true),
    'curve of another key': single({ ...es, crv: 'P-384' }, 'refused', true),
    'a chain that is none': single({ ...es, x5c: ['no certificate'] }),
    'an address of keys': single({ ...es, jku: 'https://127.0.0.1:9/', x5u: 'https://127.0.0.1:9/' }),
    'member twice': { content: withFirst(set(es), '"x":"AAAA"'), signer },
    'keys twice': { content: `{"keys":[],${set(es).slice(1)}`, signer },
    '2000 keys': {
      content: set(...Array.from({ length: 2000 }, (_, at) => ({ ...es, kid: `k${at}` })), es),
      signer,
    },
  }
}

function reporterKeyFiles(): Readonly<Record<string, Row>> {
  const pem = (key: Key) => key.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const entry = (key: unknown, more: object = {}) => ({ key_identifier: 'k', key, is_current: true, ...more })
  const document = (...keys: unknown[]) => JSON.stringify({ public_keys: keys })
  const good = document(entry(pem(ec)))
  return {
    ...writeJson(good),
    'in order': [good, 'loaded'],
    'two keys': [document(entry(pem(ec)), entry(pem(other), { key_identifier: 'l' })), 'loaded'],
    'two keys under one identifier': [document(entry(pem(ec)), entry(pem(other))), 'refused'],
    'no keys': [document(), 'refused'],
    'no identifier': [document({ key: pem(ec) }), 'refused'],
    'identifier a number': [document(entry(pem(ec), { key_identifier: 1 })), 'refused'],
    'identifier of 1 MB': [document(entry(pem(ec), { key_identifier: 'x'.repeat(1_000_000) })), 'refused'],
    'identifier with a line end': [document(entry(pem(ec), { key_identifier: 'a\n' })), 'refused'],
    'key a number': [document(entry(5)), 'refused'],
    'key null': [document(entry(null)), 'refused'],
    'key not PEM': [document(entry('MFkwEwYH')), 'refused'],
    'key cut': [document(entry(pem(ec).slice(0, -60))), 'refused'],
    'key with spaces before it': [document(entry(`  \n${pem(ec)}`))],
    'two keys in one text': [document(entry(pem(ec) + pem(other)))],
    'a private key': [document(entry(ec.privateKey.export({ type: 'pkcs8', format: 'pem' }))), 'refused'],
    'P-384': [document(entry(pem(keyOf('P-384')))), 'refused'],
    RSA: [document(entry(pem(rsa))), 'refused'],
    Ed25519: [document(entry(pem(ed))), 'refused'],
    secp256k1: [document(entry(pem(keyOf('secp256k1')))), 'refused'],
    brainpoolP256r1: [document(entry(pem(keyOf('brainpoolP256r1')))), 'refused'],
    'P-256 with explicit parameters': [document(entry(pem(keyOf('P-256 with explicit parameters'))))],
    'a member twice': [good.replace('"key":', '"key":"x","key":')],
    '2000 keys': [document(...Array.from({ length: 2000 }, (_, at) => entry(pem(ec), { key_identifier: `k${at}` })))],
  }
}

const clients = JSON.stringify([
  { client_id: 'alice', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=alice' },
])
const issuers = JSON.stringify([
  {
    issuer: 'https://issuer.test',
    jwks_file: 'issuer.json',
    audience: 'https://localhost:8443',
    algorithms: ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256'],
  },
])
const webhooks = JSON.stringify([
  { url: 'https://hooks.test/x', secret: `whsec_${Buffer.alloc(32, 5).toString('base64')}` },
])

const clientLists = (): Readonly<Record<string, Row>> => ({
  ...writeJson(clients),
  'empty list': ['[]'],
  '__proto__ as member': [clients.replace('{', '{"__proto__":{"scope":"admin"},')],
  'member twice': [clients.replace('{', '{"client_id":"bob",')],
  'a client twice': [`[${clients.slice(1, -1)},${clients.slice(1, -1)}]`, 'refused'],
  'unknown member': [clients.replace('{', '{"secret":"x",'), 'refused'],
  'a member of another type': [clients.replace('"alice"', '["alice"]'), 'refused'],
  'subject not a name': [clients.replace('CN=alice', 'alice'), 'refused'],
  'subject of 100 KB': [clients.replace('CN=alice', `CN=${'x'.repeat(100_000)}`)],
  'subject of 20 000 commas': [clients.replace('CN=alice', `CN=alice${',OU=x'.repeat(20_000)}`)],
  'subject with a lone surrogate': [clients.replace('CN=alice', 'CN=\\ud800')],
  'subject with NUL': [clients.replace('CN=alice', 'CN=a\\u0000b')],
  '10 000 clients': [
    `[${Array.from({ length: 10_000 }, (_, at) => clients.slice(1, -1).replaceAll('alice', `c${at}`)).join()}]`,
  ],
})

/** Entries of one kind, each a file of this name. */
function entries(
  kind: Kind,
  file: string,
  rows: Readonly<Record<string, Row>>,
  beside: Readonly<Record<string, string>> = {},
): JsonEntry[] {
  return Object.entries(rows).map(([name, [content, load]]) => ({
    name: `${kind === 'JSON list' ? file : kind}: ${name}`,
    kind: kind as JsonEntry['kind'],
    file,
    files: { ...beside, [file]: content },
    load,
  }))
}

export function jsonFiles(): JsonEntry[] {
  const goodSet = set({ ...publicJwk(ec), kid: 'k', alg: 'ES256' })
  return [
    ...entries('signing keys', 'signing-keys.json', signingKeySets()),
    ...Object.entries(issuerKeySets()).map(
      ([name, { content, load, signer }]): JsonEntry => ({
        name: `keys of an issuer: ${name}`,
        kind: 'keys of an issuer',
        file: 'issuers.json',
        files: { 'issuers.json': issuers, 'issuer.json': content },
        load,
        ...(signer && { signer }),
      }),
    ),
    ...entries('keys of leak reporters', 'leak-keys.json', reporterKeyFiles()),
    ...entries('JSON list', 'clients.json', clientLists()),
    ...entries('JSON list', 'issuers.json', writeJson(issuers), { 'issuer.json': goodSet }),
    ...entries('JSON list', 'webhooks.json', writeJson(webhooks)),
  ]
}
