// Serial number, names, extensions and revocations out of DER: the same as node:crypto says, where it says anything.
import fc from 'fast-check'
import t from 'tap'
import { readFields, readNextUpdate, readRevocations, readUris } from '../../src/core/certificate-fields.ts'
import { readName } from '../../src/core/distinguished-name.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { issueCrl } from '../../src/pki/crl.ts'
import type { Der } from '../../src/pki/der.ts'
import { boolean, context, encode, integer, octetString, oid, sequence, time } from '../../src/pki/der.ts'
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

t.test('the fields of a certificate are those that node:crypto reads', async t => {
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

t.test('a certificate of version 1 has no version field and no extensions', async t => {
  const signed = sequence([integer(7), sequence([]), name('issuer'), sequence([]), name('subject'), sequence([])])
  const fields = readFields(encode(sequence([signed])))
  t.same(fields.serial, Buffer.from([7]))
  t.same(fields.extensions, [])
  t.same(readUris(fields), [])
  t.equal(readName(fields.issuer), '[["2.5.4.3=issuer"]]')
  t.equal(readName(fields.subject), '[["2.5.4.3=subject"]]')
})

t.test('the URIs are those of the subject alternative names, whether or not these are critical', async t => {
  const uris = (order: object) =>
    readUris(readFields(issueCertificate({ subject: [['CN', 'alice']], ...order }).x509.raw)).map(String)
  t.same(uris({}), [])
  t.same(uris({ altNames: [{ dns: 'a.test' }, { email: 'urn:x@a.test' }, { ip: '192.0.2.1' }] }), [])
  t.same(uris({ altNames: [{ uri: 'urn:a' }, { dns: 'a.test' }, { uri: 'urn:\0b' }] }), ['urn:a', 'urn:\0b'])
  t.same(uris({ subject: [], altNames: [{ uri: 'urn:critical' }] }), ['urn:critical'])

  /** Short extensions, so that two octets stand before their content. */
  const from = (...written: Der[]) => {
    const extensions = written.map(encode).map(der => ({ tag: 0x30, content: der.subarray(2) }))
    const empty = { tag: 0x30, content: Buffer.alloc(0) }
    return readUris({ serial: Buffer.alloc(0), issuer: empty, subject: empty, extensions })
  }
  const other = sequence([oid('2.5.29.15'), octetString(encode(sequence([uri('urn:elsewhere')])))])
  t.same(from(other).map(String), [], 'not of another extension')
  t.same(from(other, subjectAltName([uri('urn:a')])).map(String), ['urn:a'])
  t.same(from(sequence([]), subjectAltName([uri('urn:a')])).map(String), ['urn:a'], 'not of one without a type')
  t.same(from(subjectAltName([uri('urn:a')], boolean(true))).map(String), ['urn:a'])
  t.throws(() => from(sequence([oid('2.5.29.17')])), RangeError, 'an extension without a value')
  t.throws(() => from(sequence([oid('2.5.29.17'), octetString(Buffer.from('names'))])), RangeError, 'no list of names')
})

t.test('a revocation list gives its issuer and the serial numbers that are revoked', async t => {
  const [one, two] = [1, 2].map(() => issueCertificate({ subject: [['CN', 'x']], issuer: ca }).x509) as [
    typeof ca.x509,
    typeof ca.x509,
  ]
  const { issuer, serials } = readRevocations(decode(issueCrl({ issuer: ca, revoked: [one, two] })))
  t.equal(readName(issuer), readName(readFields(ca.x509.raw).subject))
  t.same(
    serials.map(serial => serial.toString('hex').toUpperCase()),
    [one.serialNumber, two.serialNumber],
  )
  t.same(serials[0], readFields(one.raw).serial, 'in the octets that a certificate has them in')
  t.same(readRevocations(decode(issueCrl({ issuer: ca, revoked: [] }))).serials, [])
  const high = readRevocations(decode(issueCrl({ issuer: ca, revoked: [{ serialNumber: 'FF' }] })))
  t.same(high.serials, [Buffer.from([0x00, 0xff])], 'with the zero that keeps a number positive')
})

t.test('a revocation list of version 1 has no version field', async t => {
  const entries = sequence([sequence([integer(5), integer(0)]), sequence([])])
  const list = sequence([sequence([]), name('issuer'), integer(0), integer(0), entries])
  t.same(readRevocations(encode(sequence([list]))).serials, [Buffer.from([5])], 'an entry without number names nobody')
})

t.test('until when a revocation list counts is read from both forms of a time, to the second', async t => {
  for (const [from, until] of [
    ['2026-11-24T12:34:56Z', '2026-12-01T01:02:03Z'],
    ['1950-01-01T00:00:00Z', '1999-12-31T23:59:58Z'],
    ['1999-12-31T23:59:58Z', '2049-12-31T23:59:59Z'],
    ['2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z'],
    ['2050-01-01T00:00:00Z', '2123-04-05T06:07:08Z'],
  ] as const) {
    const [thisUpdate, nextUpdate] = [new Date(from), new Date(until)]
    const list = decode(issueCrl({ issuer: ca, revoked: [ca.x509], thisUpdate, nextUpdate }))
    t.equal(readNextUpdate(list), nextUpdate.getTime(), until)
  }
  const listOf = (...times: Der[]) => encode(sequence([sequence([sequence([]), name('issuer'), ...times])]))
  const [now, later] = [time(new Date('2026-11-24T12:34:56Z')), time(new Date('2026-12-01T01:02:03Z'))]
  t.equal(readNextUpdate(listOf(now, later)), Date.parse('2026-12-01T01:02:03Z'), 'control: version 1')
  t.equal(readNextUpdate(listOf(now, sequence([sequence([integer(5), later])]))), undefined, 'it does not say')
  t.equal(readNextUpdate(encode(sequence([]))), undefined)
  for (const wrong of ['261201010203+', '2612010102Z33', '26120101020ZZ', 'x61201010203Z', '2612010x0203Z']) {
    const list = listOf(now, later)
    list.write(wrong, list.length - 13)
    t.throws(() => readNextUpdate(list), RangeError, wrong)
  }
  for (const value of ['1010203Z', '020261201010203Z', '261201010203Z0'])
    t.throws(() => readNextUpdate(listOf(now, { ...later, value })), RangeError, value)
})

t.test('what is no certificate or no list is a RangeError', async t => {
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
  for (const der of wrong) {
    t.throws(() => readFields(der), RangeError)
    t.throws(() => readRevocations(der), RangeError)
  }
  t.throws(() => readFields(list), RangeError, 'a list is no certificate')
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), name('x'), sequence([])])]))),
    RangeError,
    'there is no subject',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), name('x'), sequence([]), integer(1)])]))),
    RangeError,
    'the subject is no name',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([integer(7), sequence([]), integer(1), sequence([]), name('x')])]))),
    RangeError,
    'the issuer is no name',
  )
  t.throws(
    () => readFields(encode(sequence([sequence([sequence([]), sequence([]), name('x'), sequence([]), name('x')])]))),
    RangeError,
    'the serial number is no number',
  )
})

t.test('a changed certificate or list is read, or is a RangeError, and nothing else', async t => {
  const certificate = issueCertificate({ subject: [['CN', 'alice']], issuer: ca, altNames: [{ uri: 'urn:a' }] }).x509
    .raw
  const list = decode(issueCrl({ issuer: ca, revoked: [ca.x509] }))
  const change = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.nat({ max: 255 }),
    fc.boolean(),
  )
  fc.assert(
    fc.property(change, ([where, value, cut]) => {
      for (const [der, read] of [
        [certificate, (bytes: Buffer) => readUris(readFields(bytes))],
        [list, readRevocations],
      ] as const) {
        const position = Math.floor(der.length * where)
        const changed = cut ? der.subarray(0, position) : Buffer.from(der)
        if (!cut) changed[position] = value
        try {
          read(changed)
        } catch (error) {
          if (!(error instanceof RangeError)) throw error
        }
      }
    }),
    { numRuns: 2000 },
  )
  t.same(readUris(readFields(certificate)).map(String), ['urn:a'], 'unchanged they are read')
  t.equal(readRevocations(list).serials.length, 1)
})
