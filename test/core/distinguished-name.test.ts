// Distinguished names as people register them (RFC 4514) and as certificates have them: equal only when the same.
// OpenSSL is the second opinion: it writes the DER from its own syntax, and prints it in RFC 2253's, which we read.
import fc from 'fast-check'
import t from 'tap'
import { readFields } from '../../src/core/certificate-fields.ts'
import type { Element } from '../../src/core/der.ts'
import { parseName, readName } from '../../src/core/distinguished-name.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { openssl } from '../pki/openssl.ts'

type Attribute = readonly [oid: string, value: string | Buffer, tag?: number]

const octets = (tag: number, content: Buffer) => {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const oidOctets = (oid: string) => {
  const [first = 0, second = 0, ...others] = oid.split('.').map(Number)
  const groups = (number: number): number[] =>
    number < 0x80 ? [number] : [...groups(Math.floor(number / 128)).map(group => group | 0x80), number % 128]
  return Buffer.from([first * 40 + second, ...others].flatMap(groups))
}
/** A Name in DER; each inner list is one part, UTF8String unless another tag is given. */
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
const cn = (value: string | Buffer, tag?: number) =>
  readName(write([[[CN, value, ...(tag === undefined ? [] : [tag])] as unknown as Attribute]]))

t.test('a registered name equals that of the certificate it describes', async t => {
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
    ['2.999.16384=x', [[['2.999.16384', 'x']]]],
    ['1.3.6.1.4.1.4294967295=x', [[['1.3.6.1.4.1.4294967295', 'x']]]],
  ]
  for (const [text, parts] of names) t.equal(parseName(text), readName(write(parts)), text)
})

t.test('names that differ anywhere are not equal', async t => {
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

t.test('what cannot be read exactly is a RangeError', async t => {
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
    'CN=#0c05616c696365',
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

t.test('what RFC 4514 §3 does not let stand without a backslash is not guessed at', async t => {
  for (const text of ['CN="alice"', 'CN=alice;O=x', 'CN=a<b', 'CN=a>b', 'CN=a\0b', 'CN=\\zz', 'CN=\\a'])
    t.throws(() => parseName(text), RangeError, JSON.stringify(text))
})

t.test('of a certificate, text in the types of today is read, and is the same text in each of them', async t => {
  for (const tag of [0x0c, 0x13, 0x16]) t.equal(cn('alice', tag), parseName('CN=alice'), `tag ${tag}`)
  t.equal(cn(''), '[["2.5.4.3="]]', 'an empty value has a name of its own')
})

t.test('a name that is empty, or has a value that is not plain text, is equal to nothing', async t => {
  t.equal(readName(write([])), undefined)
  for (const tag of [0x1e, 0x14, 0x1c, 0x04, 0x02, 0x30, 0x12]) {
    t.equal(cn('alice', tag), undefined, `tag ${tag}`)
    t.equal(readName(write([[['2.5.4.10', 'x']], [[CN, 'alice', tag]]])), undefined, `tag ${tag} beside a good one`)
  }
  const attribute = (content: Buffer) => ({ tag: 0x30, content: octets(0x31, octets(0x30, content)) })
  t.equal(readName(attribute(Buffer.alloc(0))), undefined, 'an attribute without type and value')
  t.equal(readName(attribute(octets(0x06, oidOctets(CN)))), undefined, 'an attribute without value')
  t.throws(() => readName({ tag: 0x30, content: Buffer.from([0x31, 5, 0]) }), RangeError, 'cut short')
})

t.test('a value that is not UTF-8 is not plain text', async t => {
  for (const value of ['ff', 'c3', 'c080', 'eda080', 'f4908080', '616c6963e9'])
    t.equal(cn(Buffer.from(value, 'hex')), undefined, value)
})

t.test('any name, written as RFC 4514 has it, is read as the certificate has it', async t => {
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

t.test('two names are equal as text only when they are equal', async t => {
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

t.test('no octets whatever in a name make it do anything but read, refuse or throw RangeError', async t => {
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

t.test('OpenSSL writes and prints names that we read as the same', async t => {
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
