// Client certificates by their encoding: lengths, versions, numbers, signatures (RFC 5280 §4.1, X.690 §10).
import { buildCertificate, DAY, from, pemOf } from './certificate.ts'
import {
  attribute,
  bits,
  commonName,
  context,
  element,
  generalizedTime,
  integer,
  nothing,
  oid,
  sequence,
  set,
  utcTime,
} from './der.ts'
import type { ClientEntry, ClientVerdict } from './entry.ts'
import { algorithms, keyOf, signatureBits } from './keys.ts'
import { leaf, present, presentRows, type Rows, root } from './world.ts'

const alice = attribute('CN', 'alice')
/** Rewrites the outermost element with another form of its length. */
const relength = (der: Buffer, form: Parameters<typeof element>[2]) => element(der[0] as number, contentOf(der), form)

function contentOf(der: Buffer): Buffer {
  const first = der[1] as number
  return der.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}

const lengths: Rows = {
  'length: not the shortest, in the subject': { subject: relength(commonName('alice'), 'one octet too many') },
  'length: not the shortest, in a string of the subject': {
    subject: commonName(element(0x0c, Buffer.from('alice'), 'one octet too many')),
  },
  'length: four octets, in the serial number': { serial: element(0x02, Buffer.from([9, 9, 9]), 'four octets') },
  'length: not the shortest, in the signed part': { content: der => relength(der, 'four octets') },
  'length: indefinite, in the subject': { subject: element(0x30, [set(alice)], 'indefinite') },
  'length: indefinite, in the signed part': { content: der => relength(der, 'indefinite') },
  'length: indefinite, in a relative name': { subject: sequence(element(0x31, [alice], 'indefinite')) },
  'length: indefinite, of a string': {
    subject: commonName(element(0x2c, [element(0x0c, Buffer.from('alice'))], 'indefinite')),
  },
  'length: claims 2^31 octets': [
    { subject: Buffer.concat([Buffer.from('308480000000', 'hex'), Buffer.alloc(16)]) },
    'handshake fails',
  ],
  'length: of nine octets': [
    { subject: Buffer.concat([Buffer.from('3089000000000000000005', 'hex'), Buffer.alloc(5)]) },
    'handshake fails',
  ],
  'length: the subject ends behind the certificate': [{ subject: Buffer.from('307f3100', 'hex') }, 'handshake fails'],
}

const serials: Rows = {
  'serial: zero': { serial: integer(Buffer.from([0])) },
  'serial: negative': { serial: integer(Buffer.from([0x80])) },
  'serial: minus one': { serial: integer(Buffer.from([0xff])) },
  'serial: 20 octets': { serial: integer(Buffer.alloc(20, 0x7f)) },
  'serial: 21 octets': { serial: integer(Buffer.alloc(21, 0x7f)) },
  'serial: 1000 octets': { serial: integer(Buffer.alloc(1000, 0x7f)) },
  'serial: 20 000 octets': { serial: integer(Buffer.alloc(20_000, 0x7f)) },
  'serial: with zeros before it': [{ serial: integer(Buffer.from([0, 0, 0, 5])) }, 'handshake fails'],
  'serial: negative, with ones before it': [{ serial: integer(Buffer.from([0xff, 0xff, 0x80])) }, 'handshake fails'],
  'serial: no octets': [{ serial: integer(Buffer.alloc(0)) }, 'handshake fails'],
  'serial: an OCTET STRING': [{ serial: element(0x04, Buffer.from([5])) }, 'handshake fails'],
}

const version = (number: Buffer) => context(0, number)
const versions: Rows = {
  'version: 1, without extensions': [{ version: null, extensions: null }, 'certificate_untrusted'],
  'version: 1, with extensions': { version: null },
  'version: 1, written out': { version: version(integer(0)) },
  'version: 2, with extensions': { version: version(integer(1)) },
  'version: 4': { version: version(integer(3)) },
  'version: 2^64': { version: version(integer(2n ** 64n)) },
  'version: negative': { version: version(integer(Buffer.from([0xff]))) },
  'version: 3, without extensions': [{ extensions: null }, 'certificate_untrusted'],
  'version: 3, an empty list of extensions': [{ extensions: [] }, 'certificate_untrusted'],
}

const rootKey = keyOf('root')
const rsaRoot = algorithms.sha256WithRSA.identifier
const flip = (bytes: Buffer) => Buffer.from(bytes.map((octet, at) => (at === bytes.length - 1 ? octet ^ 1 : octet)))
const signature = algorithms['ecdsa-with-SHA256']
const signed = (change: (signature: Buffer) => Buffer) => ({
  sign: (content: Buffer) => bits(change(signature.sign(content, rootKey.privateKey))),
})
const signatures: Rows = {
  'signature: SHA-1': [{ algorithm: algorithms['ecdsa-with-SHA1'] }, 'certificate_untrusted'],
  'signature: SHA-224': { algorithm: algorithms['ecdsa-with-SHA224'] },
  'signature: SHA-384': { algorithm: algorithms['ecdsa-with-SHA384'] },
  'signature: SHA-512': { algorithm: algorithms['ecdsa-with-SHA512'] },
  'signature: another algorithm inside than outside': [
    { innerAlgorithm: algorithms['ecdsa-with-SHA384'].identifier },
    'certificate_untrusted',
  ],
  'signature: another algorithm outside than inside': [
    { outerAlgorithm: algorithms['ecdsa-with-SHA384'].identifier },
    'certificate_untrusted',
  ],
  'signature: an algorithm of another kind of key': [
    { innerAlgorithm: rsaRoot, outerAlgorithm: rsaRoot },
    'certificate_untrusted',
  ],
  'signature: unknown algorithm': [
    { innerAlgorithm: sequence(oid('1.2.3.4')), outerAlgorithm: sequence(oid('1.2.3.4')) },
    'certificate_untrusted',
  ],
  'signature: an algorithm with NULL parameters that has none': {
    algorithm: {
      ...algorithms['ecdsa-with-SHA256'],
      identifier: sequence(oid('1.2.840.10045.4.3.2'), nothing),
    },
  },
  'signature: wrong': [signed(flip), 'certificate_untrusted'],
  'signature: empty': [{ sign: () => bits(Buffer.alloc(0)) }, 'certificate_untrusted'],
  'signature: no octets at all': [{ sign: () => element(0x03, Buffer.alloc(0)) }, 'handshake fails'],
  'signature: r and s of zero': [{ sign: () => bits(sequence(integer(0), integer(0))) }, 'certificate_untrusted'],
  'signature: 8 unused bits': [
    { sign: content => element(0x03, [Buffer.from([8]), signature.sign(content, rootKey.privateKey)]) },
    'handshake fails',
  ],
  'signature: with octets behind it': [
    signed(value => Buffer.concat([value, Buffer.from([0])])),
    'certificate_untrusted',
  ],
  'signature: with a length that is not the shortest': [
    signed(value => relength(value, 'one octet too many')),
    'certificate_untrusted',
  ],
  'signature: an OCTET STRING': [
    { sign: content => element(0x04, signature.sign(content, rootKey.privateKey)) },
    'handshake fails',
  ],
  "signature: by the client's own key": [
    { sign: content => signatureBits(signature, content, keyOf('P-256')) },
    'certificate_untrusted',
  ],
}

const dates: Rows = {
  'dates: ended a minute ago': [{ notAfter: from(-60_000) }, 'certificate_expired'],
  'dates: begin in a day': [{ notBefore: from(DAY), notAfter: from(2 * DAY) }, 'certificate_expired'],
  'dates: end before they begin, both ahead': [
    { notBefore: from(2 * DAY), notAfter: from(DAY) },
    'certificate_expired',
  ],
  'dates: end before they begin, both past': [
    { notBefore: from(-DAY), notAfter: from(-2 * DAY) },
    'certificate_expired',
  ],
  'dates: end before they begin, around now': [{ notBefore: from(DAY), notAfter: from(-DAY) }, 'certificate_expired'],
  'dates: UTCTime of 1950': { notBefore: utcTime('500101000000Z') },
  'dates: UTCTime until the last second of 2049': { notAfter: utcTime('491231235959Z') },
  'dates: GeneralizedTime from 2050 on': { notAfter: generalizedTime('20500101000000Z') },
  'dates: GeneralizedTime before 2050': { notAfter: generalizedTime('20490101000000Z') },
  'dates: until the year 9999': { notAfter: generalizedTime('99991231235959Z') },
  'dates: from the year 0': { notBefore: generalizedTime('00000101000000Z') },
  'dates: from the year 1': { notBefore: generalizedTime('00010101000000Z') },
  'dates: UTCTime without seconds': [{ notAfter: utcTime('4901010000Z') }, 'handshake fails'],
  'dates: GeneralizedTime with a fraction': [
    { notAfter: generalizedTime('20490101000000.5Z') },
    'certificate_untrusted',
  ],
  'dates: UTCTime with an offset': [{ notAfter: utcTime('490101000000+0100') }, 'certificate_untrusted'],
  'dates: GeneralizedTime with an offset': [
    { notAfter: generalizedTime('20490101000000-0500') },
    'certificate_untrusted',
  ],
  'dates: without Z': [{ notAfter: utcTime('490101000000') }, 'handshake fails'],
  'dates: a 30th of February': [{ notAfter: utcTime('490230000000Z') }, 'certificate_untrusted'],
  'dates: hour 24': [{ notAfter: utcTime('490101240000Z') }, 'certificate_untrusted'],
  'dates: second 60': [{ notAfter: utcTime('490101000060Z') }, 'certificate_untrusted'],
  'dates: month 13': [{ notAfter: generalizedTime('20491301000000Z') }, 'certificate_untrusted'],
  'dates: letters': [{ notAfter: utcTime('4901010000xxZ') }, 'certificate_untrusted'],
  'dates: empty': [{ notAfter: utcTime('') }, 'handshake fails'],
  'dates: a beginning that is no date': [{ notBefore: utcTime('yesterday') }, 'handshake fails'],
  'dates: 30 000 digits': [{ notAfter: generalizedTime('9'.repeat(30_000)) }, 'certificate_untrusted'],
  'dates: an INTEGER': [{ notAfter: integer(1) }, 'handshake fails'],
  'dates: one only': [{ notAfter: Buffer.alloc(0) }, 'handshake fails'],
}

const good = leaf()
const content = contentOf(good)
const firstPart = (der: Buffer) => der.subarray(0, der.length - 100)
/** Octets in the place of a certificate. */
const octetsSent: Readonly<Record<string, readonly [Buffer, ClientVerdict]>> = {
  'octets: none': [Buffer.alloc(0), 'handshake fails'],
  'octets: one': [Buffer.from([0x30]), 'handshake fails'],
  'octets: text': [Buffer.from('not a certificate at all'), 'handshake fails'],
  'octets: zeros': [Buffer.alloc(1000), 'handshake fails'],
  'octets: PEM': [Buffer.from(pemOf(good)), 'handshake fails'],
  'octets: cut by one': [good.subarray(0, -1), 'handshake fails'],
  'octets: the first half': [good.subarray(0, good.length / 2), 'handshake fails'],
  'octets: one more at the end': [Buffer.concat([good, Buffer.from([0])]), 'handshake fails'],
  'octets: the certificate twice': [Buffer.concat([good, good]), 'handshake fails'],
  'octets: the signed part alone': [sequence(firstPart(content)), 'handshake fails'],
  'octets: an element too many': [sequence(content, integer(1)), 'handshake fails'],
  'octets: outermost length indefinite': [element(0x30, content, 'indefinite'), 'accepted'],
  'octets: outermost length not the shortest': [element(0x30, content, 'four octets'), 'accepted'],
  'octets: a SET': [element(0x31, content), 'handshake fails'],
  'octets: 10 000 sequences in each other': [nest(10_000), 'handshake fails'],
  'octets: a private key': [keyOf('other').publicKey.export({ type: 'spki', format: 'der' }), 'handshake fails'],
}

/** Nested elements, written from the inside. */
function nest(depth: number): Buffer {
  let der: Buffer = Buffer.alloc(0)
  for (let at = 0; at < depth; at++) der = element(0x30, der)
  return der
}

export function clientEncodings(): ClientEntry[] {
  return [
    ...[lengths, serials, versions, signatures, dates].flatMap(presentRows),
    ...Object.entries(octetsSent).map(([name, [der, verdict]]) => present(name, { chain: [der] }, verdict)),
    present('chain: text behind the certificate', { chain: [good, Buffer.from('text')] }, 'handshake fails'),
    present('chain: no octets behind the certificate', { chain: [good, Buffer.alloc(0)] }, 'handshake fails'),
    present("chain: the key is another one's", { chain: [good], key: 'other' }, 'handshake fails'),
    present('chain: over 100 KB', { chain: [good, ...Array.from({ length: 250 }, big)] }, 'handshake fails'),
  ]
}

const big = () => buildCertificate({ key: 'other', by: root, subject: commonName('x'.repeat(200)) })
