// Serial number, names and extensions from DER, compared with node:crypto wherever it reads them.

import { createHash, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  readAuthorityKey,
  readDistributionPoints,
  readFields,
  readKeyUsage,
  readSubjectKeyIdentifier,
  readUris,
} from '../../src/core/certificate-fields.ts'
import { readName } from '../../src/core/distinguished-name.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import type { Der } from '../../src/pki/der.ts'
import { boolean, context, encode, integer, octetString, oid, sequence } from '../../src/pki/der.ts'
import { distinguishedName } from '../../src/pki/names.ts'

const ca = issueCertificate({
  subject: [
    ['O', 'Example'],
    ['CN', 'a test CA'],
  ],
  ca: true,
})
const decode = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64')
const name = (text: string) => distinguishedName([['CN', text]])
const uri = (text: string) => context(6, Buffer.from(text))
const subjectAltName = (names: Der[], ...critical: Der[]) =>
  sequence([oid('2.5.29.17'), ...critical, octetString(encode(sequence(names)))])

t.test('reads the same fields of a certificate as node:crypto', async t => {
  for (const keyType of ['ec', 'rsa', 'ed25519'] as const) {
    const leaf = issueCertificate({
      subject: [['CN', 'alice']],
      issuer: ca,
      keyType,
      altNames: [{ uri: 'urn:example:alice' }],
    })
    const fields = readFields(leaf.x509.raw)
    t.equal(fields.serial.toString('hex').toUpperCase(), leaf.x509.serialNumber)
    t.equal(readName(fields.subject), '[["2.5.4.3=alice"]]')
    t.equal(readName(fields.issuer), readName(readFields(ca.x509.raw).subject))
    t.equal(fields.extensions.length, 4, 'keyUsage, the alternative names and two key identifiers')
  }
  t.equal(readName(readFields(issueCertificate({ subject: [] }).x509.raw).subject), undefined, 'an empty subject')
})

t.test('reads a certificate of version 1, without a version field or extensions', async t => {
  const signed = sequence([integer(7), sequence([]), name('issuer'), sequence([]), name('subject'), sequence([])])
  const fields = readFields(encode(sequence([signed])))
  t.same(fields.serial, Buffer.from([7]))
  t.same(fields.extensions, [])
  t.same(readUris(fields), [])
  t.equal(readName(fields.issuer), '[["2.5.4.3=issuer"]]')
  t.equal(readName(fields.subject), '[["2.5.4.3=subject"]]')
})

t.test('reads the URIs of the subject alternative names, whether or not the extension is critical', async t => {
  const uris = (order: object) =>
    readUris(readFields(issueCertificate({ subject: [['CN', 'alice']], ...order }).x509.raw)).map(String)
  t.same(uris({}), [])
  t.same(uris({ altNames: [{ dns: 'a.test' }, { email: 'urn:x@a.test' }, { ip: '192.0.2.1' }] }), [])
  t.same(uris({ altNames: [{ uri: 'urn:a' }, { dns: 'a.test' }, { uri: 'urn:\0b' }] }), ['urn:a', 'urn:\0b'])
  t.same(uris({ subject: [], altNames: [{ uri: 'urn:critical' }] }), ['urn:critical'])

  /** Uses short extensions, whose content starts at the third octet. */
  const from = (...written: Der[]) => {
    const extensions = written.map(encode).map(der => ({ tag: 0x30, content: der.subarray(2) }))
    return readUris({ extensions })
  }
  const other = sequence([oid('2.5.29.15'), octetString(encode(sequence([uri('urn:elsewhere')])))])
  t.same(from(other).map(String), [], 'not those of another extension')
  t.same(from(other, subjectAltName([uri('urn:a')])).map(String), ['urn:a'])
  t.same(from(sequence([]), subjectAltName([uri('urn:a')])).map(String), ['urn:a'], 'skips an extension without a type')
  t.same(from(subjectAltName([uri('urn:a')], boolean(true))).map(String), ['urn:a'])
  t.throws(() => from(sequence([oid('2.5.29.17')])), RangeError, 'an extension without a value')
  t.throws(
    () => from(sequence([oid('2.5.29.17'), octetString(Buffer.from('names'))])),
    RangeError,
    'not a list of names',
  )
})

t.test('reads key identifiers, usages and distribution points as OpenSSL writes them', async t => {
  const identify = (key: KeyObject) =>
    createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest()
  const leaf = readFields(
    issueCertificate({
      subject: [['CN', 'alice']],
      issuer: ca,
      keyUsage: ['digitalSignature', 'keyAgreement'],
      distributionPoints: ['http://a.test/1', 'http://a.test/2'],
      authorityKeyIdentifier: { key: identify(ca.publicKey), issuer: ca.subject, serial: 0x80n },
    }).x509.raw,
  )
  const root = readFields(ca.x509.raw)
  t.same(readSubjectKeyIdentifier(root), identify(ca.publicKey))
  const key = readAuthorityKey(leaf)
  t.same(key?.identifier, identify(ca.publicKey))
  t.same(key?.serial, Buffer.from([0, 0x80]))
  t.same(key?.issuer?.content, root.subject.content)
  t.same(readKeyUsage(leaf), { digitalSignature: true, keyAgreement: true, keyCertSign: false, cRLSign: false })
  t.same(readKeyUsage(root), { digitalSignature: false, keyAgreement: false, keyCertSign: true, cRLSign: true })
  t.same(readDistributionPoints(leaf), ['http://a.test/1', 'http://a.test/2'])
  t.same(leaf.publicKey.subarray(0, 2), Buffer.from([0x30, 0x13]), 'the key starts with its algorithm')

  const bare = readFields(
    issueCertificate({
      subject: [['CN', 'x']],
      keyUsage: [],
      subjectKeyIdentifier: null,
      authorityKeyIdentifier: null,
    }).x509.raw,
  )
  t.same(bare.extensions, [])
  t.equal(readSubjectKeyIdentifier(bare), undefined)
  t.equal(readAuthorityKey(bare), undefined)
  t.equal(readKeyUsage(bare), undefined)
  t.same(readDistributionPoints(bare), [])
})

t.test('reads only distribution points for every certificate and every reason', async t => {
  const point = (...parts: Der[]) => sequence([context(0, [context(0, [uri('http://a.test/1')])]), ...parts])
  const read = (...points: Der[]) => {
    const extension = sequence([oid('2.5.29.31'), octetString(encode(sequence(points)))])
    return readDistributionPoints({ extensions: [{ tag: 0x30, content: encode(extension).subarray(2) }] })
  }
  t.same(read(point()), ['http://a.test/1'], 'control')
  t.same(read(point(context(1, Buffer.from([6, 0x40])))), [], 'for some reasons')
  t.same(read(point(context(2, [uri('http://other.test')]))), [], 'of another issuer')
  t.same(read(sequence([context(2, [uri('http://other.test')])])), [], 'without a name')
  t.same(read(sequence([context(0, [context(1, [integer(1)])])])), [], 'relative to the issuer')
})

t.test('throws RangeError for octets that are not a certificate', async t => {
  const certificate = issueCertificate({ subject: [['CN', 'alice']], issuer: ca }).x509.raw
  const list = decode(issueCrl({ issuer: ca, revoked: [] }))
  const wrong = [
    Buffer.alloc(0),
    Buffer.from('no DER'),
    certificate.subarray(1),
    certificate.subarray(0, -1),
    Buffer.concat([certificate, Buffer.alloc(1)]),
    encode(sequence([])),
    encode(sequence([sequence([])])),
    encode(sequence([sequence([integer(7), sequence([])])])),
    encode(integer(1)),
  ]
  for (const der of wrong) t.throws(() => readFields(der), RangeError)
  t.throws(() => readFields(list), RangeError, 'a revocation list')
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), name('x'), sequence([])])]))),
    RangeError,
    'no subject',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), name('x'), sequence([]), integer(1)])]))),
    RangeError,
    'the subject is not a name',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), integer(1), sequence([]), name('x')])]))),
    RangeError,
    'the issuer is not a name',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([sequence([]), sequence([]), name('x'), sequence([]), name('x')])]))),
    RangeError,
    'the serial number is not a number',
  )
})

t.test('either reads a changed certificate or throws RangeError', async t => {
  const certificate = issueCertificate({
    subject: [['CN', 'alice']],
    issuer: ca,
    altNames: [{ uri: 'urn:a' }],
    distributionPoints: ['http://a.test/1'],
  }).x509.raw
  const read = (bytes: Buffer) => {
    const fields = readFields(bytes)
    return [readUris, readAuthorityKey, readKeyUsage, readDistributionPoints].map(reader => reader(fields))
  }
  const change = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.nat({ max: 255 }),
    fc.boolean(),
  )
  fc.assert(
    fc.property(change, ([where, value, cut]) => {
      const position = Math.floor(certificate.length * where)
      const changed = cut ? certificate.subarray(0, position) : Buffer.from(certificate)
      if (!cut) changed[position] = value
      try {
        read(changed)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
  t.same(readUris(readFields(certificate)).map(String), ['urn:a'], 'control: the unchanged certificate')
})
