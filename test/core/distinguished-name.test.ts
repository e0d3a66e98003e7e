// Distinguished names in registrations (RFC 4514) and in certificates: equal only if they are the same. OpenSSL is the
// reference: it writes the DER from its own syntax, and prints it in the syntax of RFC 2253, which the parser reads.
import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { readFields } from '../../src/core/certificate-fields.ts'
import type { Element } from '../../src/core/der.ts'
import {
  areReversed,
  type ComparableName,
  parseName,
  readName,
  withoutStringTypes,
} from '../../src/core/distinguished-name.ts'
import { writeName } from '../../src/core/name-text.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { openssl } from '../pki/openssl.ts'

type Attribute = readonly [oid: string, value: string | Buffer, tag?: number]

const octets = (tag: number, content: Buffer) => {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const oidOctets = (oid: string) => {
  const [first = 0n, second = 0n, ...others] = oid.split('.').map(BigInt)
  const groups = (number: bigint): number[] =>
    number < 0x80n ? [Number(number)] : [...groups(number / 128n).map(group => group | 0x80), Number(number % 128n)]
  return Buffer.from([first * 40n + second, ...others].flatMap(groups))
}
/** Returns a Name in DER; each inner list is one part, as UTF8String unless another tag is given. */
const write = (parts: readonly (readonly Attribute[])[]): Element => ({
  tag: 0x30,
  content: Buffer.concat(
    parts.map(part =>
      octets(
        0x31,
        Buffer.concat(
          part.map(([oid, value, tag = 0x0c]) =>
            octets(0x30, Buffer.concat([octets(0x06, oidOctets(oid)), octets(tag, Buffer.from(value))])),
          ),
        ),
      ),
    ),
  ),
})
const CN = '2.5.4.3'
const uuid = '2.25.329800735698586629295641978511506172918' // a UUID as an object identifier (X.667)
const utf16 = (text: string) => Buffer.from(text, 'utf16le').swap16()
const cn = (value: string | Buffer, tag?: number) =>
  readName(write([[[CN, value, ...(tag === undefined ? [] : [tag])] as unknown as Attribute]]))

t.test('reads a registered name and the certificate that it describes as equal', async t => {
  const names: [string, readonly (readonly Attribute[])[]][] = [
    ['CN=alice', [[[CN, 'alice']]]],
    ['cn=alice', [[[CN, 'alice']]]],
    ['2.5.4.3=alice', [[[CN, 'alice']]]],
    [' CN = alice ', [[[CN, 'alice']]]],
    ['CN=alice,O=Example,C=CH', [[['2.5.4.6', 'CH']], [['2.5.4.10', 'Example']], [[CN, 'alice']]]],
    ['CN=alice, O=Example', [[['2.5.4.10', 'Example']], [[CN, 'alice']]]],
    [
      'CN=alice+UID=7',
      [
        [
          [CN, 'alice'],
          ['0.9.2342.19200300.100.1.1', '7'],
        ],
      ],
    ],
    [
      'UID=7 + CN=alice',
      [
        [
          [CN, 'alice'],
          ['0.9.2342.19200300.100.1.1', '7'],
        ],
      ],
    ],
    ['O=Example\\, Inc.', [[['2.5.4.10', 'Example, Inc.']]]],
    ['O=Example\\2C Inc.', [[['2.5.4.10', 'Example, Inc.']]]],
    ['CN=\\C3\\84rzte', [[[CN, 'Ärzte']]]],
    ['CN=Ärzte 😀', [[[CN, 'Ärzte 😀']]]],
    ['CN=\\ a\\ ', [[[CN, ' a ']]]],
    ['CN=\\20a\\20', [[[CN, ' a ']]]],
    ['CN=\\#1', [[[CN, '#1']]]],
    ['CN=a#1', [[[CN, 'a#1']]]],
    ['CN=a\\=b', [[[CN, 'a=b']]]],
    ['CN=a=b', [[[CN, 'a=b']]]],
    ['CN=\\"\\+\\;\\<\\>\\\\', [[[CN, '"+;<>\\']]]],
    ['CN=a\\00b', [[[CN, 'a\0b']]]],
    ['CN=a\nb', [[[CN, 'a\nb']]]],
    [
      'SERIALNUMBER=1,STREET=s,ST=t,L=l,OU=u,DC=d',
      [
        [['0.9.2342.19200300.100.1.25', 'd']],
        [['2.5.4.11', 'u']],
        [['2.5.4.7', 'l']],
        [['2.5.4.8', 't']],
        [['2.5.4.9', 's']],
        [['2.5.4.5', '1']],
      ],
    ],
    ['emailAddress=a@a.test', [[['1.2.840.113549.1.9.1', 'a@a.test']]]],
    ['2.5.4.97=#0c0a4f464242522d31323334', [[['2.5.4.97', 'OFBBR-1234']]]],
    ['organizationIdentifier=OFBBR-1234', [[['2.5.4.97', 'OFBBR-1234']]]],
    ['ORGANIZATIONIDENTIFIER = #0C0A4F464242522D31323334 ', [[['2.5.4.97', 'OFBBR-1234', 0x13]]]],
    ['CN=#1305616c696365+O=x', [[[CN, 'alice'], ['2.5.4.10', 'x']]]], // biome-ignore format: one name
    ['CN=#1e0a0061006c006900630065', [[[CN, utf16('alice'), 0x1e]]]],
    ['1.3.6.1.4.1.1466.0=#04024869', [[['1.3.6.1.4.1.1466.0', 'Hi', 0x04]]]],
    ['CN=#0c00', [[[CN, '']]]],
    ['2.25.329800735698586629295641978511506172918=#0c0178', [[[uuid, 'x']]]],
    ['2.999.16384=x', [[['2.999.16384', 'x']]]],
    ['1.3.6.1.4.1.4294967295=x', [[['1.3.6.1.4.1.4294967295', 'x']]]],
  ]
  for (const [text, parts] of names) t.equal(parseName(text), readName(write(parts)), text)
})

t.test('distinguishes names that differ anywhere', async t => {
  const different = [
    'CN=alice',
    'CN=Alice',
    'CN=alice\\ ',
    'CN=\\ alice',
    'CN=a\\  lice',
    'CN=аlice',
    'CN=alice\\00',
    'UID=alice',
    'O=alice',
    'CN=alice,O=x',
    'O=x,CN=alice',
    'CN=alice+O=x',
    'CN=alice,CN=alice',
    'CN=alice+CN=alice',
    'CN=alice\\,O=x',
    'CN=alice\\+O=x',
    'CN=a,CN=b',
    'CN=b,CN=a',
    'CN=a\\=2.5.4.10\\=b',
    'CN=\uFEFFalice',
  ]
  t.equal(new Set(different.map(parseName)).size, different.length)
})

t.test('throws RangeError for malformed names', async t => {
  const wrong = [
    '',
    ' ',
    'alice',
    '=alice',
    'CN',
    'CN=',
    'CN= ',
    'CN=alice,',
    ',CN=alice',
    'CN=alice,,O=x',
    ',',
    '+',
    'CN=alice+',
    '+CN=alice',
    'CN=a++O=b',
    'CN=alice\\',
    'CN=alice,O',
    'NOPE=alice',
    'constructor=x',
    'X1=alice',
    'CN=#',
    'CN=#0',
    'CN=#0c05616c6963',
    'CN=#0c05616c69636500',
    'CN=#0c05616c6963650c0161',
    'CN=#0c8105616c696365',
    'CN=#2c800c05616c6963650000',
    'CN=#xx',
    'CN=#0c0161 62',
    'CN=\ud800',
    '2=x',
    '2.05=x',
    '3.1=x',
    '0.40=x',
    '1.=x',
    '.1=x',
    'organisationIdentifier=x',
    '__proto__=x',
    'S=Zurich',
    'C N=alice',
    'OID.2.5.4.3=alice',
    'CN=alice/O=x,y',
    '/CN=alice',
    'CN=\\FF',
    'CN=\\C3',
    'CN=\\C3a',
  ]
  for (const text of wrong) t.throws(() => parseName(text), RangeError, JSON.stringify(text))
})

t.test('rejects characters that RFC 4514 §3 requires to be escaped', async t => {
  for (const text of ['CN="alice"', 'CN=alice;O=x', 'CN=a<b', 'CN=a>b', 'CN=a\0b', 'CN=\\zz', 'CN=\\a'])
    t.throws(() => parseName(text), RangeError, JSON.stringify(text))
})

t.test('reads the current string types of a certificate as the same text', async t => {
  for (const tag of [0x0c, 0x13, 0x16]) t.equal(cn('alice', tag), parseName('CN=alice'), `tag ${tag}`)
  t.equal(cn(''), '[["2.5.4.3="]]', 'an empty value is a name as well')
})

t.test('matches nothing with a name that is empty, or that lacks a type or value', async t => {
  t.equal(readName(write([])), undefined)
  const attribute = (content: Buffer) => ({ tag: 0x30, content: octets(0x31, octets(0x30, content)) })
  t.equal(readName(attribute(Buffer.alloc(0))), undefined, 'an attribute without type and value')
  t.equal(readName(attribute(octets(0x06, oidOctets(CN)))), undefined, 'an attribute without value')
  const [type, value] = [octets(0x06, oidOctets(CN)), octets(0x0c, Buffer.from('alice'))]
  t.equal(readName(attribute(Buffer.concat([type, value]))), parseName('CN=alice'), 'control')
  t.equal(readName(attribute(Buffer.concat([type, value, value]))), undefined, 'an attribute with two values')
  t.equal(readName(attribute(Buffer.concat([value, value]))), undefined, 'an attribute with a string as its type')
  t.throws(() => readName({ tag: 0x30, content: Buffer.from([0x31, 5, 0]) }), RangeError, 'truncated')
  for (const oid of ['', '80', '8001', '2a80', '2a8001', '550480'])
    t.throws(
      () => readName(attribute(Buffer.concat([octets(0x06, Buffer.from(oid, 'hex')), value]))),
      RangeError,
      `object identifier ${oid}`,
    )
})

t.test('compares a value of another type by its octets, never as text', async t => {
  const spellings = (tag: number, content: Buffer) => [`CN=#${octets(tag, content).toString('hex')}`]
  for (const tag of [0x1e, 0x14, 0x1c, 0x04, 0x02, 0x12, 0x1a]) {
    const content = Buffer.from('alice')
    t.not(cn('alice', tag), parseName('CN=alice'), `tag ${tag}`)
    for (const text of spellings(tag, content)) t.equal(cn(content, tag), parseName(text), text)
    t.not(cn('alice', tag), cn('alice', tag === 0x04 ? 0x1e : 0x04), `tag ${tag} differs from other tags`)
  }
  for (const hex of ['ff', 'c3', 'c080', 'eda080', 'f4908080', '616c6963e9']) {
    const content = Buffer.from(hex, 'hex')
    for (const text of spellings(0x0c, content)) t.equal(cn(content), parseName(text), text)
    t.not(cn(content), parseName(`CN=${content.toString()}`), `${hex} is invalid UTF-8`)
    t.not(cn(content), parseName(`CN=${content.toString('latin1')}`), `and is not read as Latin-1`)
  }
})

t.test('reports the fault of a malformed name', async t => {
  for (const [text, reason] of [
    ['', /empty/],
    ['alice', /"alice" is not TYPE=VALUE/],
    ['organisationIdentifier=x', /organisationIdentifier is not known by name; use its object identifier/],
    ['/CN=alice', /"\/CN" is not an attribute type/],
    ['OID.2.5.4.3=alice', /"OID.2.5.4.3" is not an attribute type/],
    ['CN=', /a value is empty/],
    ['CN="alice"', /" must be escaped/],
    ['CN=a;O=b', /; must be escaped/],
    ['CN=a\0b', /NUL must be escaped/],
    ['CN=\\z', /backslash/],
    ['CN=\\C3', /not UTF-8/],
    ['CN=#zz', /hexadecimal/],
    ['CN=#0c05', /not valid DER/],
    ['CN=#0c00', undefined],
  ] as const)
    if (reason === undefined) t.doesNotThrow(() => parseName(text), `control: ${text}`)
    else t.throws(() => parseName(text), { name: 'RangeError', message: reason }, text)
})

t.test('parses the examples of RFC 4514 section 4, and writes equivalent text', async t => {
  const rows: [string, string][] = [
    ['UID=jsmith,DC=example,DC=net', 'UID=jsmith,DC=example,DC=net'],
    ['OU=Sales+CN=J.  Smith,DC=example,DC=net', 'OU=Sales+CN=J.  Smith,DC=example,DC=net'],
    ['CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net', 'CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net'],
    ['CN=Before\\0dAfter,DC=example,DC=net', 'CN=Before\\0dAfter,DC=example,DC=net'],
    ['1.3.6.1.4.1.1466.0=#04024869', '1.3.6.1.4.1.1466.0=#04024869'],
    ['CN=Lu\\C4\\8Di\\C4\\87', 'CN=Lučić'],
  ]
  for (const [text, written] of rows) {
    const name = parseName(text)
    t.equal(parseName(writeName(name)), name, text)
    t.same(new Set(writeName(name).split(/[+,]/)), new Set(written.split(/[+,]/)), text)
  }
})

t.test('knows every attribute type by the object identifier that OpenSSL uses', async t => {
  const { key } = issueCertificate({ subject: [] })
  const known = (
    'CN commonName L localityName ST stateOrProvinceName O organizationName OU organizationalUnitName C countryName ' +
    'street streetAddress DC domainComponent UID userId businessCategory description destinationIndicator ' +
    'distinguishedName dnQualifier enhancedSearchGuide facsimileTelephoneNumber generationQualifier givenName GN ' +
    'houseIdentifier initials internationaliSDNNumber member name owner physicalDeliveryOfficeName postalAddress ' +
    'postalCode postOfficeBox preferredDeliveryMethod registeredAddress roleOccupant searchGuide seeAlso serialNumber ' +
    'SN surname telephoneNumber teletexTerminalIdentifier telexNumber title uniqueMember userPassword x121Address ' +
    'x500UniqueIdentifier pseudonym role emailAddress unstructuredName unstructuredAddress jurisdictionL ' +
    'jurisdictionLocalityName jurisdictionST jurisdictionStateOrProvinceName jurisdictionC jurisdictionCountryName'
  ).split(' ')
  const subject = known.map(name => `/${name}=${/^(C|countryName|jurisdictionC\w*)$/.test(name) ? 'CH' : 'x'}`).join('')
  const { x509 } = makeSelfSigned(key, subject, 'utf8only')
  const attributes = JSON.parse(readName(readFields(x509.raw).subject) as string) as string[][]
  t.equal(attributes.length, known.length)
  for (const [index, name] of known.entries()) {
    const value = attributes[index]?.[0]?.split('=')[1]
    t.same(JSON.parse(parseName(`${name}=${value}`)), [attributes[index]], name)
    t.match(parseName(writeName(parseName(`${name}=${value}`))), attributes[index]?.[0] as string, `${name}, written`)
  }
})

t.test('writes a subject of any string type as text that parses to the same name', async t => {
  const { key } = issueCertificate({ subject: [] })
  const masks: Readonly<Record<string, readonly [tag: number, isText: boolean]>> = {
    'MASK:0x2': [0x13, true],
    'MASK:0x4': [0x14, false],
    'MASK:0x800': [0x1e, false],
    'MASK:0x2000': [0x0c, true],
  }
  for (const [mask, [tag, isText]] of Object.entries(masks))
    for (const subject of ['/C=CH/O=Example, Inc./CN=alice', '/CN=alice/UID=7+OU=b', '/O=a/O=b/CN=x y']) {
      const { x509 } = makeSelfSigned(key, subject, mask)
      const name = readName(readFields(x509.raw).subject) as ComparableName
      const text = writeName(name)
      t.ok(x509.raw.includes(Buffer.from([0x55, 0x04, 0x03, tag])), `${mask}: the common name has tag ${tag}`)
      t.equal(parseName(text), name, text)
      t.equal(text.includes('CN=#'), !isText, text)
      t.equal(text.includes('CN=alice') || text.includes('CN=x y'), isText, text)
      const plain = withoutStringTypes(name)
      t.equal(plain === name, isText, 'the name with plain strings')
      t.match(writeName(plain), /CN=(alice|x y)/)
    }
})

t.test('writes every name as text that parses to the same name', async t => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }).map(text => [text.toWellFormed(), 0x0c] as const),
    fc.string({ unit: fc.constantFrom(...' ,+"\\<>;=#a\0\n\u202e'), maxLength: 8 }).map(text => [text, 0x0c] as const),
    fc.tuple(
      fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
      fc.constantFrom(0x0c, 0x13, 0x16, 0x12, 0x14, 0x1a, 0x1c, 0x1e, 0x04, 0x30),
    ),
  )
  const type = fc.oneof(
    fc.constantFrom(CN, '2.5.4.10', '2.5.4.97', uuid, '2.999.3'),
    fc.tuple(fc.nat({ max: 39 }), fc.nat()).map(([second, third]) => `1.${second}.${third}`),
  )
  const attribute = fc.tuple(type, value).map(([oid, [content, tag]]) => [oid, content, tag] as const)
  const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(name, parts => {
      const read = readName(write(parts)) as ComparableName
      const text = writeName(read)
      return parseName(text) === read && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)
    }),
    { numRuns: 1000 },
  )
  t.ok(writeName(cn('alice') as string))
})

t.test('finds the text of every string type, to display it', async t => {
  const wide = Buffer.concat([...'alice'].map(letter => Buffer.from([0, 0, 0, letter.charCodeAt(0)])))
  for (const [tag, content] of [
    [0x14, 'alice'],
    [0x1c, wide],
    [0x1e, utf16('alice')],
  ] as const)
    t.equal(withoutStringTypes(cn(content, tag) as string), parseName('CN=alice'), `tag ${tag}`)
  t.equal(withoutStringTypes(cn('alice', 0x04) as string), cn('alice', 0x04), 'an OCTET STRING is not text')
})

t.test('detects a name in reverse order', async t => {
  const name = parseName('CN=alice,O=Example,C=CH')
  t.equal(areReversed(name, parseName('C=CH,O=Example,CN=alice')), true)
  t.equal(areReversed(name, name), false)
  t.equal(areReversed(name, parseName('C=CH,CN=alice,O=Example')), false)
})

/** Returns a self-signed certificate that OpenSSL makes for a subject in its own syntax. */
function makeSelfSigned(key: string, subject: string, stringMask: string): { x509: X509Certificate } {
  const config = `[req]\ndistinguished_name=dn\nstring_mask=${stringMask}\n[dn]\n`
  const options = ['-config', 'config', '-key', 'key', '-subj', subject, '-multivalue-rdn']
  const { output } = openssl({ key, config }, 'req', '-x509', '-new', '-utf8', ...options)
  const [pem] = /-----BEGIN CERTIFICATE.*-----END CERTIFICATE-----/s.exec(output) ?? []
  if (pem === undefined) throw new Error(output)
  return { x509: new X509Certificate(pem) }
}

t.test('parses RFC 4514 text of any name as the certificate contains it', async t => {
  const types = { CN, O: '2.5.4.10', UID: '0.9.2342.19200300.100.1.1', '1.2.3.4567': '1.2.3.4567' }
  const value = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
    fc.string({ unit: fc.constantFrom(...' ,+"\\<>;=#a\0\n'), minLength: 1, maxLength: 8 }),
  )
  const attribute = fc.tuple(fc.constantFrom(...(Object.keys(types) as (keyof typeof types)[])), value)
  const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 })
  const escaped = (text: string) => text.replace(/[,+"\\<>;=]|^[ #]| $/g, '\\$&').replaceAll('\0', '\\00')
  const inHex = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '\\$&')
  for (const spell of [escaped, inHex])
    fc.assert(
      fc.property(name, parts => {
        const text = parts
          .map(part => part.map(([type, text]) => `${type}=${spell(text)}`).join('+'))
          .reverse()
          .join(',')
        return (
          parseName(text) ===
          readName(write(parts.map(part => part.map(([type, text]) => [types[type], text] as const))))
        )
      }),
      { numRuns: 500 },
    )
  t.equal(escaped(' #a, '), '\\ #a\\,\\ ')
})

t.test('treats names as equal only if their text is equal', async t => {
  const value = fc.string({ unit: fc.constantFrom(...'a=",[]\\+'), minLength: 1, maxLength: 4 })
  const attribute = fc.tuple(fc.constantFrom(CN, '2.5.4.10'), value)
  const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 })
  const sorted = (parts: readonly (readonly Attribute[])[]) =>
    JSON.stringify(parts.map(part => part.map(pair => JSON.stringify(pair)).sort()))
  fc.assert(
    fc.property(
      name,
      name,
      (one, two) => (readName(write(one)) === readName(write(two))) === (sorted(one) === sorted(two)),
    ),
    { numRuns: 1000 },
  )
  t.equal(sorted([[[CN, 'a']]]), sorted([[[CN, 'a']]]))
})

t.test('either reads arbitrary octets of a name or throws RangeError', async t => {
  const { content } = write([
    [
      [CN, 'alice'],
      ['2.5.4.10', 'Exämple'],
    ],
    [['1.2.840.113549.1.9.1', 'a@a.test', 0x16]],
  ])
  const changed = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
    fc.tuple(fc.nat({ max: content.length - 1 }), fc.nat({ max: 255 })).map(([position, value]) => {
      const copy = Buffer.from(content)
      copy[position] = value
      return copy
    }),
  )
  fc.assert(
    fc.property(changed, bytes => {
      try {
        const read = readName({ tag: 0x30, content: bytes })
        return read === undefined || read !== parseName('CN=alice')
      } catch (error) {
        return error instanceof RangeError
      }
    }),
    { numRuns: 3000 },
  )
  t.ok(readName({ tag: 0x30, content }))
})

t.test('parses the names that OpenSSL prints as its certificates contain them', async t => {
  const { key } = issueCertificate({ subject: [] })
  const subjects = [
    '/CN=alice',
    '/C=CH/O=Example, Inc./OU=a+UID=b/CN=alice',
    '/CN= alice ',
    '/CN=#a',
    '/CN=a\\+b\\/c',
    '/CN=Ärzte 😀',
    '/DC=test/DC=a/CN=x;y<z>"q"',
    '/ST=s/L=l/street=x/serialNumber=7/CN=back\\\\slash',
    '/O=a/O=b/O=c',
    '/emailAddress=a@a.test/CN=a=b',
  ]
  for (const subject of subjects) {
    const files = { key, config: '[req]\ndistinguished_name=dn\n[dn]\n' }
    const made = openssl(
      files,
      'req',
      '-x509',
      '-new',
      '-utf8',
      '-config',
      'config',
      '-key',
      'key',
      '-subj',
      subject,
      '-multivalue-rdn',
    )
    const [certificate = ''] = /-----BEGIN CERTIFICATE.*-----END CERTIFICATE-----/s.exec(made.output) ?? []
    const printed = openssl(
      { certificate },
      'x509',
      '-in',
      'certificate',
      '-noout',
      '-subject',
      '-nameopt',
      'RFC2253,-esc_msb,utf8',
    )
    const text = printed.output.replace(/^subject=|\n$/g, '')
    const der = Buffer.from(certificate.replace(/-----[^-]+-----/g, ''), 'base64')
    t.equal(readName(readFields(der).subject), parseName(text), text)
  }
})
