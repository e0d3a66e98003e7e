// Files of authorities: how they are joined, and certificates that a server can or cannot use as an authority.
import {
  type Authority,
  basicConstraints,
  buildAuthority,
  buildCertificate,
  DAY,
  extendedKeyUsage,
  extension,
  from,
  generalName,
  keyUsage,
  nameConstraints,
  type Order,
  pemOf,
} from './certificate.ts'
import { nameStrings } from './client-names.ts'
import { bits, commonName, element, integer, oid, pem, sequence } from './der.ts'
import type { ClientEntry, LoadVerdict, TrustEntry } from './entry.ts'
import { joinBlocks } from './joins.ts'
import { type KeyName, keyIdentifier, keyOf, publicKeyInfo } from './keys.ts'
import { leaf, present, root } from './world.ts'

const second = buildAuthority('corpus second', { key: 'third' })
const ofRoot = present('of the root', { chain: [leaf()] }, 'accepted')
const ofSecond = present('of the second root', { chain: [leaf({ by: second })] }, 'accepted')

interface File {
  readonly text: string | Buffer
  /** Clients that are accepted once the file is loaded. */
  readonly served?: readonly ClientEntry[]
  /** Clients that are never accepted. */
  readonly refused?: readonly ClientEntry[]
  readonly load?: LoadVerdict | undefined
}

function entry(name: string, { text, served = [ofRoot], refused = [], load }: File): TrustEntry {
  return { name: `authorities: ${name}`, kind: 'authorities', files: { 'ca.crt': text }, served, refused, load }
}

/** Another authority behind the root, with a client of its own. */
type Behind = Partial<Order> & { readonly verdict?: 'serves' | 'serves nobody'; readonly load?: LoadVerdict }

const without = (...names: NonNullable<Order['without']>) => ({ without: names })
const behind: Readonly<Record<string, Behind>> = {
  'version 1': { version: null, extensions: null },
  'basic constraints of a client': {
    ...without('basicConstraints'),
    more: [basicConstraints(false)],
    verdict: 'serves nobody',
  },
  // OpenSSL accepts a root as an authority by its key usage alone.
  'no basic constraints': without('basicConstraints'),
  'no basic constraints and no key usage': {
    ...without('basicConstraints', 'keyUsage'),
    verdict: 'serves nobody',
  },
  'no key usage': without('keyUsage'),
  'key usage without keyCertSign': { ...without('keyUsage'), more: [keyUsage(['cRLSign'])], verdict: 'serves nobody' },
  'purpose serverAuth': { more: [extendedKeyUsage(['serverAuth'])], verdict: 'serves nobody' },
  'purpose clientAuth': { more: [extendedKeyUsage(['clientAuth'])] },
  'unknown critical extension': { more: [extension('unknown', integer(1), true)], verdict: 'serves nobody' },
  'constrained to names': { more: [nameConstraints([generalName.dns('a.test')])] },
  'no identifier': without('subjectKeyIdentifier', 'authorityKeyIdentifier'),
  ended: { notBefore: from(-2 * DAY), notAfter: from(-DAY), verdict: 'serves nobody' },
  'begins tomorrow': { notBefore: from(DAY), notAfter: from(2 * DAY), verdict: 'serves nobody' },
  'until the year 9999': { notAfter: element(0x18, Buffer.from('99991231235959Z')) },
  'a date with a fraction': { notAfter: element(0x18, Buffer.from('20490101000000.5Z')), verdict: 'serves nobody' },
  'a date with an offset': { notAfter: element(0x17, Buffer.from('490101000000+0100')), verdict: 'serves nobody' },
  'a 30th of February': { notAfter: element(0x17, Buffer.from('490230000000Z')), verdict: 'serves nobody' },
  'serial number of 1000 octets': { serial: integer(Buffer.alloc(1000, 7)) },
  'negative serial number': { serial: integer(Buffer.from([0x80])) },
  'a length that is not the shortest': { content: der => element(0x30, contentOf(der), 'four octets') },
  'an indefinite length': { content: der => element(0x30, contentOf(der), 'indefinite') },
  'a subject whose length is not the shortest': {
    subject: element(0x30, contentOf(commonName('behind')), 'one octet too many'),
  },
  'an empty subject': { subject: sequence() },
  'a wrong signature of its own': { sign: content => element(0x03, [Buffer.from([0]), signatureOf(content)]) },
  'an algorithm that nobody knows': {
    innerAlgorithm: sequence(oid('1.2.3.4')),
    outerAlgorithm: sequence(oid('1.2.3.4')),
    verdict: 'serves nobody',
  },
  'a public key of an algorithm that nobody knows': {
    publicKeyInfo: sequence(sequence(oid('1.2.3.4')), publicKeyInfo('other').subarray(-68)),
    verdict: 'serves nobody',
  },
  'a point off the curve': {
    publicKeyInfo: Buffer.concat([publicKeyInfo('other').subarray(0, -64), Buffer.alloc(64, 1)]),
    verdict: 'serves nobody',
  },
}

const signatureOf = (content: Buffer) => Buffer.alloc(70, content.length % 251)

function contentOf(der: Buffer): Buffer {
  const first = der[1] as number
  return der.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}

const keys: readonly (readonly [KeyName, Behind['verdict']])[] = [
  ['brainpoolP256r1', 'serves'],
  ['secp256k1', 'serves'],
  ['P-256 with explicit parameters', 'serves nobody'],
  ['Ed448', 'serves'],
  ['RSA 1024', 'serves nobody'],
  ['RSA-PSS with parameters', 'serves'],
  ['DSA', 'serves nobody'],
  ['ML-DSA-44', 'serves'],
  ['SLH-DSA', 'serves'],
  ['X25519', 'serves nobody'],
]

/** A file of the root, an authority with these parts, and the second root. */
function among(name: string, { verdict = 'serves', load, ...parts }: Behind, key: KeyName = 'other'): TrustEntry {
  const subject = parts.subject ?? commonName('behind')
  const authority = buildAuthority(subject, { key, by: signerOf(key, subject), ...parts })
  const client = present(name, { chain: [leaf({ by: { ...authority, key: signerOf(key, subject).key } })] }, 'accepted')
  return entry(`with one between others: ${name}`, {
    text: root.pem + authority.pem + second.pem,
    served: [ofRoot, ofSecond, ...(verdict === 'serves' ? [client] : [])],
    refused: verdict === 'serves' ? [] : [client],
    load,
  })
}

/** Its own signature, unless the key cannot sign. */
function signerOf(key: KeyName, name: Buffer): Pick<Authority, 'name' | 'key' | 'identifier'> {
  return { name, key: keyOf(key === 'X25519' ? 'other' : key), identifier: keyIdentifier(publicKeyInfo(key)) }
}

/** An authority with a name of usual length; unsigned, since a server does not verify the signature of a root. */
const renamed = (at: number) =>
  pemOf(
    buildCertificate({
      key: 'other',
      isAuthority: true,
      subject: commonName(`authority number ${at} `.padEnd(90, 'x')),
      sign: signature,
    }),
  )
const signature = () => bits(sequence(integer(1), integer(1)))

export function authorities(): TrustEntry[] {
  const both = [ofRoot, ofSecond]
  const joins = joinBlocks([root.pem, second.pem], [root.der, second.der])
  const plainLeaf = leaf()
  const trusted = Buffer.concat([root.der, sequence()])
  return [
    ...Object.entries(joins).map(([name, [text, load]]) => entry(name, { text, served: both, load })),
    entry('X509 CERTIFICATE as label', {
      text: root.pem.replaceAll(' CERTIFICATE', ' X509 CERTIFICATE') + second.pem,
      served: both,
    }),
    entry('TRUSTED CERTIFICATE', { text: pem('TRUSTED CERTIFICATE', trusted) + second.pem, served: both }),
    entry('octets behind a certificate', {
      text: pem('CERTIFICATE', Buffer.concat([root.der, Buffer.from([0])])) + second.pem,
      served: both,
    }),
    entry('two certificates in one block', {
      text: pem('CERTIFICATE', Buffer.concat([root.der, second.der])),
      served: both,
    }),
    entry('a certificate cut short', {
      text: root.pem + pem('CERTIFICATE', second.der.subarray(0, -5)),
      load: 'refused',
    }),
    entry('the same one twice', { text: root.pem + second.pem + root.pem, served: both, load: 'loaded' }),
    entry('a client alone', { text: pemOf(plainLeaf), served: [], refused: [ofRoot] }),
    entry('a client among them', { text: root.pem + pemOf(plainLeaf) + second.pem, served: both }),
    entry('500 of them', {
      text: [
        ...Array.from({ length: 500 }, (_, at) => buildAuthority(`authority ${at}`, { key: 'other' }).pem),
        root.pem,
      ].join(''),
      load: 'loaded',
    }),
    entry('more names than a CertificateRequest holds', {
      text: [...Array.from({ length: 700 }, (_, at) => renamed(at)), root.pem].join(''),
    }),
    entry('an intermediate without its root', {
      text: buildAuthority('below', { key: 'other', by: root }).pem + second.pem,
      served: [ofSecond],
      refused: [ofRoot],
    }),
    ...Object.entries(behind).map(([name, parts]) => among(name, parts)),
    ...keys.map(([key, verdict]) => among(`key ${key}`, { ...(verdict && { verdict }) }, key)),
    ...nameStrings.map(([name, subject]) => among(name, { subject })),
  ]
}
