// Certificate revocation lists: parses them, and rejects by name each kind that OpenSSL would not apply as intended.
import fc from 'fast-check'
import t from 'tap'
import { readFields } from '../../src/core/certificate-fields.ts'
import { readName } from '../../src/core/distinguished-name.ts'
import {
  isOverlapping,
  type ListScope,
  parseRevocationList,
  UnusableListError,
} from '../../src/core/revocation-list.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { type CrlOrder, issueCrl } from '../../src/pki/crl.ts'
import type { Der } from '../../src/pki/der.ts'
import { bitString, context, encode, integer, oid, sequence, time } from '../../src/pki/der.ts'
import * as extensions from '../../src/pki/extensions.ts'
import { distinguishedName } from '../../src/pki/names.ts'
import { keyIdentifier } from '../../src/pki/signing.ts'

const ca = issueCertificate({ subject: [['CN', 'a test CA']], ca: true })
const decode = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64')
const parse = (order: Partial<CrlOrder> = {}) =>
  parseRevocationList(decode(issueCrl({ issuer: ca, revoked: [], ...order })))
const name = distinguishedName([['CN', 'issuer']])
const [now, later] = [time(new Date('2026-11-24T12:34:56Z')), time(new Date('2026-12-01T01:02:03Z'))]
/** Returns a list of version 1, with an empty signature. */
const version1 = (...fields: Der[]) =>
  encode(sequence([sequence([sequence([]), name, ...fields]), sequence([]), bitString(Buffer.alloc(0))]))

t.test('reads issuer, dates, number, key, scope and entries of a list', async t => {
  const [one, two] = ['01ff', '7f00'].map(serialNumber => ({ serialNumber }))
  const revokedAt = new Date('2026-11-20T10:00:00Z')
  const list = parse({
    revoked: [{ ...(one as { serialNumber: string }), extensions: [extensions.reasonCode(1)] }, two as typeof ca.x509],
    thisUpdate: revokedAt,
    nextUpdate: new Date('2026-12-01T01:02:03Z'),
    number: 0x1234,
    scope: { uris: ['http://a.test/1', 'http://a.test/2'], onlyUserCertificates: true },
  })
  t.equal(readName(list.issuer), readName(readFields(ca.x509.raw).subject))
  t.match(list, {
    thisUpdate: revokedAt.getTime(),
    nextUpdate: Date.parse('2026-12-01T01:02:03Z'),
    number: '1234',
    scope: { certificates: 'clients', uris: ['http://a.test/1', 'http://a.test/2'] },
    entries: 2,
  })
  t.same(list.authorityKey?.identifier, keyIdentifier(ca.publicKey))
  t.same(list.find(Buffer.from('01ff', 'hex')), { revokedAt: revokedAt.getTime(), reason: 'keyCompromise' })
  t.same(list.find(Buffer.from('7f00', 'hex')), { revokedAt: revokedAt.getTime(), reason: undefined })
  for (const other of ['01', 'ff', '01fe', '0001ff', '7f', '00', ''])
    t.equal(list.find(Buffer.from(other, 'hex')), undefined)
})

t.test('finds each of many entries, and no other serial number', async t => {
  const serial = (number: number) => Buffer.from([1, number >> 8, number & 0xff])
  const revoked = Array.from({ length: 5000 }, (_, number) => ({ serialNumber: serial(2 * number).toString('hex') }))
  const list = parse({ revoked })
  t.equal(list.entries, 5000)
  const found = Array.from({ length: 10_000 }, (_, number) => list.find(serial(number)) !== undefined)
  t.ok(found.every((isFound, number) => isFound === (number % 2 === 0)))
  t.equal(parse().entries, 0)
  t.equal(parse().find(serial(0)), undefined)
})

t.test('reads a list of version 1, a list without an end, and both forms of a time', async t => {
  const entries = sequence([sequence([integer(5), now])])
  t.match(parseRevocationList(version1(now, later, entries)), {
    nextUpdate: Date.parse('2026-12-01T01:02:03Z'),
    entries: 1,
    number: undefined,
    authorityKey: undefined,
    scope: { certificates: 'all', uris: [] },
  })
  t.match(parseRevocationList(version1(now, entries)), { nextUpdate: undefined, entries: 1 })
  t.match(parse({ nextUpdate: null }), { nextUpdate: undefined })
  for (const [from, until] of [
    ['1950-01-01T00:00:00Z', '1999-12-31T23:59:58Z'],
    ['1999-12-31T23:59:58Z', '2049-12-31T23:59:59Z'],
    ['2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z'],
    ['2050-01-01T00:00:00Z', '2123-04-05T06:07:08Z'],
  ] as const) {
    const { thisUpdate, nextUpdate } = parse({ thisUpdate: new Date(from), nextUpdate: new Date(until) })
    t.same([thisUpdate, nextUpdate], [Date.parse(from), Date.parse(until)], until)
  }
  for (const wrong of [
    ...['261201010203+', '2612010102Z33', 'x61201010203Z', '261301010203Z', '2612010x0203Z'],
    ...['270229010203Z', '261131010203Z', '261201240000Z', '261201016000Z', '261201010060Z'],
  ]) {
    const list = version1(now, later)
    list.write(wrong, list.indexOf('261201010203Z'))
    t.throws(() => parseRevocationList(list), { name: 'UnusableListError', message: /a nextUpdate that is no/ }, wrong)
  }
  const leap = version1(now, time(new Date('2028-02-29T00:00:00Z')))
  t.match(parseRevocationList(leap), { nextUpdate: Date.parse('2028-02-29T00:00:00Z') })
})

t.test('rejects by name the lists that OpenSSL does not apply as intended', async t => {
  const entry = (...written: Der[]) => ({ revoked: [{ serialNumber: '01', extensions: written }] })
  const unknown = (critical: boolean) => extensions.extension('1.2.3.4', sequence([]), { critical })
  const refused: Record<string, [order: Partial<CrlOrder>, message: RegExp]> = {
    'a delta list': [{ extensions: [extensions.deltaCrlIndicator(1)] }, /is a delta list/],
    'an indirect list': [{ scope: { indirect: true } }, /is an indirect list/],
    'for some reasons': [{ scope: { onlySomeReasons: true } }, /some reasons/],
    'for attribute certificates': [{ scope: { onlyAttributeCertificates: true } }, /attribute certificates/],
    'an empty scope': [{ scope: {} }, /empty scope/],
    'a scope that excludes everything': [
      { scope: { onlyUserCertificates: true, onlyAuthorities: true } },
      /excludes every/,
    ],
    'a critical extension': [{ extensions: [unknown(true)] }, /critical extension .*\(1\.2\.3\.4\)/],
    'a critical extension with a known identifier': [
      { extensions: [extensions.extension('2.5.29.46', sequence([]), { critical: true })] },
      /critical extension .*\(2\.5\.29\.46\)/,
    ],
    'an entry with a critical extension': [entry(unknown(true)), /critical extension .*\(1\.2\.3\.4\) in an entry/],
    'an entry of another authority': [entry(extensions.certificateIssuer([['CN', 'x']])), /certificateIssuer/],
    'an entry that removes a revocation': [entry(extensions.reasonCode(8)), /removeFromCRL/],
  }
  for (const [what, [order, message]] of Object.entries(refused))
    t.throws(() => parse(order), { name: 'UnusableListError', message }, what)
  const relative = sequence([oid('2.5.29.28')])
  t.throws(() => parse({ extensions: [relative] }), { name: 'RangeError' }, 'an extension without a value')
  const named = extensions.extension('2.5.29.28', sequence([context(0, [context(1, [integer(1)])])]))
  t.throws(() => parse({ extensions: [named] }), UnusableListError, 'a name relative to the issuer')
  t.throws(
    () => parse({ extensions: [extensions.crlNumber(7)] }),
    { name: 'RangeError' },
    'an extension that occurs twice',
  )

  const accepted: Record<string, Partial<CrlOrder>> = {
    'an extension that is not critical': { extensions: [unknown(false)] },
    'an entry with a non-critical extension': entry(unknown(false)),
    'an entry on hold': entry(extensions.reasonCode(6)),
    'for client certificates': { scope: { onlyUserCertificates: true } },
    'for authorities': { scope: { onlyAuthorities: true } },
    'for a distribution point': { scope: { uris: ['http://a.test'] } },
    'without a key of its authority': { authorityKeyIdentifier: null },
  }
  for (const [what, order] of Object.entries(accepted)) t.doesNotThrow(() => parse(order), what)
})

t.test('reports whether two scopes have certificates in common', async t => {
  const scope = (certificates: ListScope['certificates'], ...uris: string[]) => ({ certificates, uris })
  const [all, clients, authorities] = [scope('all'), scope('clients'), scope('authorities')]
  for (const [one, other, expected] of [
    [all, all, true],
    [all, clients, true],
    [all, authorities, true],
    [clients, clients, true],
    [clients, authorities, false],
    [all, scope('all', 'a'), true],
    [scope('all', 'a'), scope('all', 'b'), false],
    [scope('all', 'a', 'b'), scope('clients', 'b', 'c'), true],
    [scope('authorities', 'a'), scope('clients', 'a'), false],
  ] as const) {
    t.equal(isOverlapping(one, other), expected)
    t.equal(isOverlapping(other, one), expected)
  }
})

t.test('throws RangeError for octets that are not a list', async t => {
  const list = decode(issueCrl({ issuer: ca, revoked: [ca.x509] }))
  const entry = (...fields: Der[]) => version1(now, later, sequence([sequence(fields)]))
  const wrong = [
    Buffer.alloc(0),
    Buffer.from('no DER'),
    list.subarray(1),
    list.subarray(0, -1),
    Buffer.concat([list, Buffer.alloc(1)]),
    ca.x509.raw,
    encode(sequence([])),
    encode(sequence([sequence([])])),
    encode(integer(1)),
    encode(sequence([sequence([integer(2), sequence([]), name, now])])),
    version1(),
    version1(integer(1)),
    version1(now, later, sequence([integer(1)])),
    version1(now, later, sequence([]), integer(1)),
    entry(),
    entry(now),
    entry(integer(1)),
    entry(integer(1), integer(1)),
    entry(integer(1), now, sequence([integer(1)])),
    entry(integer(1), now, sequence([sequence([integer(1)])])),
    entry(integer(1), now, sequence([sequence([oid('2.5.29.21')])])),
  ]
  for (const [index, der] of wrong.entries())
    t.throws(() => parseRevocationList(der), { name: 'RangeError' }, String(index))
})

t.test('either reads a changed list, or rejects it with one of two errors', async t => {
  const list = decode(
    issueCrl({
      issuer: ca,
      revoked: [{ ...ca.x509, serialNumber: ca.x509.serialNumber, extensions: [extensions.reasonCode(4)] }],
      scope: { uris: ['http://a.test'], onlyUserCertificates: true },
    }),
  )
  const serial = readFields(ca.x509.raw).serial
  const change = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.nat({ max: 255 }),
    fc.boolean(),
  )
  fc.assert(
    fc.property(change, ([where, value, cut]) => {
      const position = Math.floor(list.length * where)
      const changed = cut ? list.subarray(0, position) : Buffer.from(list)
      if (!cut) changed[position] = value
      try {
        parseRevocationList(changed).find(serial)
      } catch (error) {
        if (!(error instanceof RangeError) && !(error instanceof UnusableListError)) throw error
      }
    }),
    { numRuns: 3000 },
  )
  t.match(parseRevocationList(list).find(serial), { reason: 'superseded' }, 'control: the unchanged list')
})
