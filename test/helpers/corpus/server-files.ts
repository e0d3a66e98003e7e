// Certificates and keys of a server: matching and mismatched pairs, unusable certificates, and forms of keys.
import type { KeyObject } from 'node:crypto'
import {
  basicConstraints,
  buildAuthority,
  buildCertificate,
  DAY,
  extendedKeyUsage,
  extension,
  from,
  generalName,
  keyUsage,
  type Order,
  pemOf,
  subjectAltName,
} from './certificate.ts'
import { commonName, integer, pem } from './der.ts'
import type { LoadVerdict, ServerEntry } from './entry.ts'
import { joinBlocks } from './joins.ts'
import { algorithms, type Key, type KeyName, keyOf } from './keys.ts'
import { root } from './world.ts'

const between = buildAuthority('server sub', { key: 'sub', by: root })
const upper = buildAuthority('server upper', { key: 'other', by: root })
const lower = buildAuthority('server lower', { key: 'sub', by: upper })

const forServers: Partial<Order> = {
  without: ['extendedKeyUsage'],
  more: [extendedKeyUsage(['serverAuth']), subjectAltName([generalName.dns('localhost')])],
}

/** The certificate of a server named localhost, of the root. */
export function serverCertificate(parts: Partial<Order> = {}): Buffer {
  return buildCertificate({ key: 'server', by: root, subject: commonName('localhost'), ...forServers, ...parts })
}

const text = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const serverKey = keyOf('server')

interface Files {
  readonly chain: readonly Buffer[] | string | Buffer
  readonly key?: string | Buffer
  readonly load?: LoadVerdict | undefined
  /** The certificates that a client must receive once it is loaded. */
  readonly sends?: readonly Buffer[]
}

function entry(
  kind: 'server certificate' | 'private key',
  name: string,
  { chain, key, load, sends }: Files,
): ServerEntry {
  const isFile = typeof chain === 'string' || Buffer.isBuffer(chain)
  const files = {
    'server.crt': isFile ? chain : chain.map(pemOf).join(''),
    'server.key': key ?? text(serverKey.privateKey),
  }
  return { name: `${kind}: ${name}`, kind, files, load, sends: sends ?? (isFile ? undefined : chain) }
}

const own = serverCertificate()
const belowBetween = serverCertificate({ by: between })

const kinds: readonly (readonly [KeyName, LoadVerdict?])[] = [
  ['P-256', 'loaded'],
  ['P-384', 'loaded'],
  ['P-521', 'loaded'],
  ['P-224'],
  ['secp256k1'],
  ['brainpoolP256r1'],
  ['P-256 with explicit parameters'],
  ['Ed25519', 'loaded'],
  ['Ed448', 'loaded'],
  ['X25519', 'refused'],
  ['RSA 512', 'refused'],
  ['RSA 1024', 'refused'],
  ['RSA 2048', 'loaded'],
  ['RSA 4096', 'loaded'],
  ['RSA 8192', 'loaded'],
  ['RSA with e=3', 'loaded'],
  ['RSA-PSS', 'loaded'],
  ['RSA-PSS with parameters', 'loaded'],
  ['DSA'],
  ['ML-DSA-65'],
  ['SLH-DSA'],
]

const usage = (...allowed: Parameters<typeof keyUsage>[0]): Partial<Order> => ({
  without: ['extendedKeyUsage', 'keyUsage'],
  more: [...(forServers.more ?? []), keyUsage(allowed)],
})
const purpose = (...allowed: Parameters<typeof extendedKeyUsage>[0]): Partial<Order> => ({
  ...forServers,
  more: [...(allowed.length > 0 ? [extendedKeyUsage(allowed)] : []), subjectAltName([generalName.dns('localhost')])],
})

const certificates: Readonly<Record<string, readonly [Partial<Order>, LoadVerdict?]>> = {
  'purpose serverAuth and clientAuth': [purpose('serverAuth', 'clientAuth'), 'loaded'],
  'purpose clientAuth': [purpose('clientAuth'), 'refused'],
  'purpose codeSigning': [purpose('codeSigning'), 'refused'],
  'no purpose': [purpose(), 'loaded'],
  'any purpose': [purpose('any'), 'loaded'],
  'key usage keyEncipherment': [usage('keyEncipherment')],
  'key usage keyCertSign': [usage('keyCertSign')],
  'ended yesterday': [{ notBefore: from(-2 * DAY), notAfter: from(-DAY) }],
  'ends in a minute': [{ notAfter: from(60_000) }],
  'begins tomorrow': [{ notBefore: from(DAY), notAfter: from(2 * DAY) }],
  'until 9999': [{ notAfter: Buffer.from('180f39393939313233313233353935395a', 'hex') }],
  'no names': [{ subject: commonName('server'), more: [extendedKeyUsage(['serverAuth'])] }],
  'the name in CN only': [{ more: [extendedKeyUsage(['serverAuth'])] }],
  'another name': [{ more: [extendedKeyUsage(['serverAuth']), subjectAltName([generalName.dns('other.test')])] }],
  'name with NUL': [
    { more: [extendedKeyUsage(['serverAuth']), subjectAltName([generalName.dns('localhost\0.test')])] },
  ],
  'subject of 60 KB': [{ subject: commonName('x'.repeat(60_000)) }],
  'subject of 120 KB': [{ subject: commonName('x'.repeat(120_000)) }],
  'serial number of 1000 octets': [{ serial: integer(Buffer.alloc(1000, 7)) }],
  'version 1': [{ version: null, extensions: null }],
  'signed with SHA-1': [{ algorithm: algorithms['ecdsa-with-SHA1'] }],
  'unknown critical extension': [{ more: [...(forServers.more ?? []), extension('unknown', integer(1), true)] }],
  'an authority': [{ ...forServers, more: [...(forServers.more ?? []), basicConstraints(true)] }],
  'a wrong signature': [{ sign: content => pemless(content) }],
  'a length that is not the shortest': [
    { content: der => Buffer.concat([Buffer.from([0x30, 0x84]), length(der), contentOf(der)]) },
  ],
}

const pemless = (content: Buffer) => Buffer.from([0x03, 0x03, 0x00, 0x30, content.length & 0x7f])
const length = (der: Buffer) => {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(contentOf(der).length)
  return octets
}

function contentOf(der: Buffer): Buffer {
  const first = der[1] as number
  return der.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}

export function serverCertificates(): ServerEntry[] {
  const file = (name: string, files: Files) => entry('server certificate', name, files)
  const joins = joinBlocks([belowBetween, between.der].map(pemOf), [belowBetween, between.der])
  return [
    ...Object.entries(joins).map(([name, [chain, load]]) =>
      file(name, { chain, load, sends: [belowBetween, between.der] }),
    ),
    ...kinds.map(([key, load]) =>
      file(`key ${key}`, { chain: [serverCertificate({ key })], key: text(keyOf(key).privateKey), load }),
    ),
    ...Object.entries(certificates).map(([name, [parts, load]]) =>
      file(name, { chain: [serverCertificate(parts)], load }),
    ),
    file('of another key', { chain: [serverCertificate({ key: 'P-256' })], load: 'refused' }),
    file('with two authorities, in order', {
      chain: [serverCertificate({ by: lower }), lower.der, upper.der],
      load: 'loaded',
    }),
    file('with two authorities, the root too', {
      chain: [serverCertificate({ by: lower }), lower.der, upper.der, root.der],
      load: 'loaded',
    }),
    file('with two authorities, in the wrong order', {
      chain: [serverCertificate({ by: lower }), upper.der, lower.der],
    }),
    file('behind its authority', { chain: [between.der, belowBetween], load: 'refused' }),
    file('its authority left out', { chain: [belowBetween] }),
    file('one of two authorities left out', { chain: [serverCertificate({ by: lower }), upper.der] }),
    file('with an authority of others', { chain: [own, between.der] }),
    file('twice', { chain: [own, own] }),
    file('with an ended authority', {
      chain: [
        belowBetween,
        buildAuthority('server sub', { key: 'sub', by: root, notBefore: from(-2 * DAY), notAfter: from(-DAY) }).der,
      ],
    }),
    file('self-signed', {
      chain: [buildCertificate({ key: 'server', subject: commonName('localhost'), ...forServers })],
    }),
    file('with an authority of brainpool', { chain: brainpoolChain() }),
    file('with an authority of RSA 1024', { chain: chainUnder('RSA 1024') }),
    file('with 40 authorities', { chain: manyAuthorities(40) }),
    file('the key is in the same file', { chain: pemOf(own) + text(serverKey.privateKey) }),
    file('the key in its place', { chain: text(serverKey.privateKey), load: 'refused' }),
    file('a certificate as label of a public key', {
      chain: pem('CERTIFICATE', serverKey.publicKey.export({ type: 'spki', format: 'der' })),
      load: 'refused',
    }),
  ]
}

const brainpoolChain = () => chainUnder('brainpoolP256r1')

function chainUnder(key: KeyName): Buffer[] {
  const authority = buildAuthority(`server ${key}`, { key, by: root })
  return [serverCertificate({ by: authority }), authority.der]
}

function manyAuthorities(count: number): Buffer[] {
  const chain = [buildAuthority('server 0', { key: 'sub', by: root })]
  for (let at = 1; at < count; at++)
    chain.unshift(buildAuthority(`server ${at}`, { key: at % 2 ? 'other' : 'sub', by: chain[0] as (typeof chain)[0] }))
  return [serverCertificate({ by: chain[0] as (typeof chain)[0] }), ...chain.map(({ der }) => der)]
}

const passphrase = 'correct horse'

/** The forms in which the server's key can be written. */
export function privateKeys(): ServerEntry[] {
  const rsa = keyOf('RSA 2048')
  const rsaChain = [serverCertificate({ key: 'RSA 2048' })]
  const file = (name: string, key: string | Buffer, load?: LoadVerdict, chain: readonly Buffer[] = [own]) =>
    entry('private key', name, { chain, key, load })
  const { privateKey, publicKey } = serverKey
  const der = privateKey.export({ type: 'pkcs8', format: 'der' })
  const sec1 = privateKey.export({ type: 'sec1', format: 'pem' }).toString()
  const block = text(privateKey)
  const joins = joinBlocks([block, block], [der, der])
  const encrypted = (key: Key, type: 'pkcs8' | 'pkcs1' | 'sec1', cipher: string) =>
    key.privateKey.export({ type, format: 'pem', cipher, passphrase } as never).toString()
  // Joins of two blocks contain the key twice, which is not tested here: those that differ in one block only.
  const single = joinBlocks([block], [der])
  const relabelled = (label: string) => pem(label, der)
  return [
    ...Object.entries(single).map(([name, [key, load]]) => file(name, key, load)),
    file('twice', joins.plain?.[0] as string),
    file('SEC1', sec1, 'loaded'),
    file('SEC1 behind parameters', pem('EC PARAMETERS', Buffer.from('06082a8648ce3d030107', 'hex')) + sec1, 'loaded'),
    file('PKCS#1', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }), 'loaded', rsaChain),
    file('PKCS#8 of RSA', text(rsa.privateKey), 'loaded', rsaChain),
    file('of another certificate', text(keyOf('other').privateKey), 'refused'),
    file('of another kind', text(rsa.privateKey), 'refused'),
    file('two keys', block + text(keyOf('other').privateKey)),
    file('two keys, the wrong one first', text(keyOf('other').privateKey) + block),
    file('the certificate in its place', pemOf(own), 'refused'),
    file('behind its certificate', pemOf(own) + block),
    file('the public key', publicKey.export({ type: 'spki', format: 'pem' }), 'refused'),
    file('encrypted, AES-256', encrypted(serverKey, 'pkcs8', 'aes-256-cbc'), 'refused'),
    file('encrypted, in the old form', encrypted(serverKey, 'sec1', 'aes-128-cbc'), 'refused'),
    file('encrypted, in the old form of RSA', encrypted(rsa, 'pkcs1', 'des-ede3-cbc'), 'refused', rsaChain),
    file(
      'an encrypted one under the label of a plain one',
      encrypted(serverKey, 'pkcs8', 'aes-256-cbc').replaceAll('ENCRYPTED ', ''),
      'refused',
    ),
    file('a plain one under the label of an encrypted one', relabelled('ENCRYPTED PRIVATE KEY'), 'refused'),
    file('PKCS#8 under the label of SEC1', relabelled('EC PRIVATE KEY')),
    file('PKCS#8 under the label of RSA', relabelled('RSA PRIVATE KEY')),
    file('under the label of OpenSSH', relabelled('OPENSSH PRIVATE KEY'), 'refused'),
    file('under a label that nobody knows', relabelled('ANY PRIVATE KEY')),
    file('JWK', JSON.stringify(privateKey.export({ format: 'jwk' })), 'refused'),
    file('octets behind it in its block', pem('PRIVATE KEY', Buffer.concat([der, Buffer.alloc(9)]))),
    file('cut in its block', pem('PRIVATE KEY', der.subarray(0, -9)), 'refused'),
    file('a private part of zero', zeroed(der)),
  ]
}

/** The key with its private number overwritten. */
function zeroed(der: Buffer): string {
  const copy = Buffer.from(der)
  const at = copy.indexOf(Buffer.from('0201010420', 'hex')) + 5
  return pem('PRIVATE KEY', copy.fill(0, at, at + 32))
}
