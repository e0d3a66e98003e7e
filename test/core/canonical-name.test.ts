// Names as OpenSSL compares them, in every string type. OpenSSL's checkIssued decides whether a name is that of an issuer.
import t from 'tap'
import { readCanonicalName } from '../../src/core/canonical-name.ts'
import { readFields } from '../../src/core/certificate-fields.ts'
import { issueCertificate } from '../../src/pki/certificate.ts'
import { characterString } from '../../src/pki/der.ts'
import type { DistinguishedName } from '../../src/pki/names.ts'

const bmp = (text: string) => characterString(30, Buffer.from(text, 'utf16le').swap16())
const universal = (text: string) =>
  characterString(28, Buffer.concat([...text].map(letter => Buffer.from([0, ...threeOctets(letter)]))))
const threeOctets = (letter: string) => {
  const point = letter.codePointAt(0) as number
  return [point >> 16, (point >> 8) & 0xff, point & 0xff]
}
const latin1 = (tag: 19 | 20 | 22, text: string) => characterString(tag, Buffer.from(text, 'latin1'))
const cn = (...values: DistinguishedName[number][1][]): DistinguishedName => values.map(value => ['CN', value])

const names: Record<string, DistinguishedName> = {
  'UTF-8': cn('Root CA'),
  'other case': cn('ROOT ca'),
  'more spaces': cn('  Root \t\n  CA '),
  'no space': cn('RootCA'),
  PrintableString: cn(latin1(19, 'Root CA')),
  TeletexString: cn(latin1(20, 'Root CA')),
  IA5String: cn(latin1(22, 'rOOT  CA')),
  UniversalString: cn(universal('Root CA')),
  BMPString: cn(bmp('Root CA')),
  'a letter beyond ASCII': cn('Röot CA'),
  'the same letter in TeletexString': cn(latin1(20, 'Röot CA')),
  'the same letter in BMPString': cn(bmp('röot CA')),
  'the same letter in UniversalString': cn(universal('RöOT ca')),
  'that letter in upper case, which is a different one': cn('RÖot CA'),
  'another attribute': [['O', 'Root CA']],
  'one more attribute': cn('Root CA', 'Root CA'),
  'two attributes': [
    ['O', 'a'],
    ['CN', 'b'],
  ],
  'two attributes in another order': [
    ['CN', 'b'],
    ['O', 'a'],
  ],
  empty: [],
}

t.test('treats two names as equal exactly if OpenSSL does', async t => {
  const key = issueCertificate({ subject: [] })
  // Without key identifiers, so that the names alone decide.
  const bare = { subjectKeyIdentifier: null, authorityKeyIdentifier: null, keyPair: key, ca: true } as const
  const identities = Object.entries(names).map(([name, subject]) => ({
    name,
    ...issueCertificate({ ...bare, subject }),
  }))
  let equal = 0
  for (const one of identities)
    for (const other of identities) {
      const leaf = issueCertificate({ subject: [['CN', 'leaf']], issuer: other, ...bare, ca: false })
      const expected = leaf.x509.checkIssued(one.x509)
      const [a, b] = [one, other].map(({ x509 }) => readCanonicalName(readFields(x509.raw).subject))
      t.equal(a === b, expected, `${one.name}, ${other.name}`)
      if (expected) equal++
    }
  t.ok(equal > identities.length, 'control: some names with different spellings are equal')
})

t.test('throws RangeError for malformed names and for text that is invalid in its string type', async t => {
  const read = (content: Buffer) => readCanonicalName({ tag: 0x30, content })
  for (const content of ['ff', '3101', '310430020600', '3100ff'])
    t.throws(() => read(Buffer.from(content, 'hex')), RangeError, content)
  for (const value of ['1e03616263', '1c03616263', '1c0400ffffff'])
    t.throws(() => read(nameOf(Buffer.from(value, 'hex'))), { name: 'RangeError' }, value)
  t.doesNotThrow(() => read(nameOf(Buffer.from('1e020061', 'hex'))), 'control')
})

/** Returns the content of a name with one attribute of the type 2.5.4.3 and this value in DER. */
function nameOf(value: Buffer): Buffer {
  const wrap = (tag: number, ...parts: Buffer[]) => {
    const content = Buffer.concat(parts)
    return Buffer.concat([Buffer.from([tag, content.length]), content])
  }
  return wrap(0x31, wrap(0x30, Buffer.from('0603550403', 'hex'), value))
}
