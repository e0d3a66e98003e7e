// Distinguished names as text (RFC 4514 §2): the text parses back to the same name, and OpenSSL writes the same text.
import t from 'tap'
import { readFields } from '../../src/core/certificate-fields.ts'
import { type Element, readElements } from '../../src/core/der.ts'
import { parseName, readName } from '../../src/core/distinguished-name.ts'
import { formatName } from '../../src/core/name-text.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { characterString, type Der, encode, integer, oid, sequence, set, utf8String } from '../../src/pki/der.ts'
import type { DistinguishedName } from '../../src/pki/names.ts'

const elementOf = (name: Der) => readElements(encode(name))[0] as Element
const subjectOf = (subject: DistinguishedName) => readFields(issueCertificate({ subject }).x509.raw).subject

t.test('writes a name with its most specific part first, escaped as RFC 4514 requires', async t => {
  const rows: [DistinguishedName, string][] = [
    [[['CN', 'alice']], 'CN=alice'],
    [
      [
        ['C', 'DE'],
        ['O', 'Example, Inc.'],
        ['CN', 'alice'],
      ],
      'CN=alice,O=Example\\, Inc.,C=DE',
    ],
    [
      [
        ['DC', 'test'],
        ['DC', 'example'],
        ['UID', 'alice'],
      ],
      'UID=alice,DC=example,DC=test',
    ],
    [[['CN', '# one']], 'CN=\\# one'],
    [[['CN', ' both ']], 'CN=\\ both\\ '],
    [[['CN', 'a"b+c;d<e>f\\g=h']], 'CN=a\\"b\\+c\\;d\\<e\\>f\\\\g=h'],
    [[['CN', 'nul\0']], 'CN=nul\\00'],
    [[['emailAddress', 'a@b.test']], 'emailAddress=a@b.test'],
    [[['serialNumber', '1']], 'serialNumber=1'],
    [[['CN', 'Zoë 中']], 'CN=Zoë 中'],
    [[], ''],
  ]
  for (const [name, expected] of rows) {
    const element = subjectOf(name)
    t.equal(formatName(element), expected)
    if (expected !== '') t.equal(parseName(expected), readName(element), 'parses back to the same name')
  }
})

t.test('writes types without a short name, and values that are not text, in hexadecimal digits', async t => {
  t.equal(formatName(subjectOf([['CN', characterString(30, Buffer.from('0061', 'hex'))]])), 'CN=#1e020061')
  t.equal(formatName(subjectOf([['CN', sequence([integer(5)])]])), 'CN=#3003020105')
  const long = characterString(30, Buffer.alloc(300, 'a'))
  t.match(formatName(subjectOf([['CN', long]])), /^CN=#1e82012c6161/)
  const nameless = sequence([oid('2.999.3'), characterString(19, Buffer.from('X'))])
  t.equal(
    formatName(elementOf(sequence([set([nameless])]))),
    '2.999.3=#0c0158',
    'text is compared whatever its string type',
  )
  const identifier = sequence([oid('2.5.4.97'), characterString(19, Buffer.from('X'))])
  t.equal(formatName(elementOf(sequence([set([identifier])]))), 'organizationIdentifier=X', 'control')
})

t.test('joins the attributes of one relative name with a plus sign', async t => {
  const attributes = [sequence([oid('2.5.4.3'), utf8String('alice')]), sequence([oid('2.5.4.5'), utf8String('1')])]
  t.equal(formatName(elementOf(sequence([set(attributes)]))), 'CN=alice+serialNumber=1')
})

t.test('throws RangeError for malformed names', async t => {
  for (const content of ['ff', '31023000', '3100ff'])
    t.throws(() => formatName({ tag: 0x30, content: Buffer.from(content, 'hex') }), RangeError, content)
})
