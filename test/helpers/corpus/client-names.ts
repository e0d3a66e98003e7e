// Client certificates by the content and encoding of their names: RFC 5280 §4.1.2.4, §4.2.1.6, X.690 §8.
import { extension, generalName, subjectAltName } from './certificate.ts'
import { attribute, bits, boolean, commonName, element, integer, octets, oid, sequence, set, string } from './der.ts'
import type { ClientEntry } from './entry.ts'
import { leaf, present, presentRows, type Rows, root, sub, world } from './world.ts'

const cn = (value: string | Buffer) => ({ subject: commonName(value) })
const many = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))

const strings: Rows = {
  'name: UTF8String': cn('alice'),
  'name: PrintableString': cn(string('PrintableString', 'alice')),
  'name: IA5String': cn(string('IA5String', 'alice')),
  'name: TeletexString': cn(string('TeletexString', 'Zoë')),
  'name: BMPString': cn(string('BMPString', 'alice')),
  'name: UniversalString': cn(string('UniversalString', 'alice 😀')),
  'name: NumericString': cn(string('NumericString', '12345')),
  'name: NumericString of letters': cn(string('NumericString', 'alice')),
  'name: VisibleString': [cn(string('VisibleString', 'alice')), 'handshake fails'],
  'name: GeneralString': [cn(string('GeneralString', 'alice')), 'handshake fails'],
  'name: GraphicString': [cn(string('GraphicString', 'alice')), 'handshake fails'],
  'name: VideotexString': [cn(string('VideotexString', 'alice')), 'handshake fails'],
  'name: PrintableString with characters that it does not have': cn(string('PrintableString', 'a@b*_é')),
  'name: IA5String with octets over 127': cn(string('IA5String', Buffer.from([0x61, 0xff, 0x80]))),
  'name: UTF8String, invalid': [cn(string('UTF8String', Buffer.from([0x61, 0xff, 0xfe]))), 'handshake fails'],
  'name: UTF8String, overlong': [cn(string('UTF8String', Buffer.from([0xc0, 0xaf]))), 'handshake fails'],
  'name: UTF8String with a surrogate': [cn(string('UTF8String', Buffer.from([0xed, 0xa0, 0x80]))), 'handshake fails'],
  'name: UTF8String cut in a character': [cn(string('UTF8String', Buffer.from([0x61, 0xe2, 0x82]))), 'handshake fails'],
  'name: BMPString of odd length': [cn(string('BMPString', Buffer.from([0, 0x61, 0]))), 'handshake fails'],
  'name: UniversalString of five octets': [cn(string('UniversalString', Buffer.alloc(5, 0x61))), 'handshake fails'],
  'name: BMPString with a lone surrogate': [
    cn(string('BMPString', Buffer.from([0xd8, 0, 0, 0x61]))),
    'handshake fails',
  ],
  'name: with NUL': cn('alice\0.evil'),
  'name: only NUL': cn('\0'),
  'name: control characters': cn('a\x01\x07\x1b[2Jb\r\nc\x7f'),
  'name: right to left override': cn('\u202eecila'),
  'name: byte order mark and zero width': cn('\ufeffali\u200bce'),
  'name: characters outside the plane': cn('😀👩‍👩‍👧'),
  'name: 64 KiB': cn('a'.repeat(65_536)),
  'name: longer than the bound of CN': cn('a'.repeat(200)),
  'name: empty value': cn(''),
  'name: spaces': cn('  alice   x '),
  'name: separators of its text form': cn('alice,O=x+OU="y";<z>#\\'),
}

const values: Rows = {
  'name value: INTEGER': [cn(integer(5)), 'handshake fails'],
  'name value: OCTET STRING': [cn(octets(Buffer.from('alice'))), 'handshake fails'],
  'name value: BIT STRING': cn(bits(Buffer.from('alice'))),
  'name value: SEQUENCE': cn(sequence(string('UTF8String', 'alice'))),
  'name value: BOOLEAN': [cn(boolean()), 'handshake fails'],
  'name value: NULL': [cn(element(0x05, Buffer.alloc(0))), 'handshake fails'],
  'name value: OBJECT IDENTIFIER': [cn(oid('1.2.3.4')), 'handshake fails'],
  'name value: a constructed UTF8String': cn(element(0x2c, [string('UTF8String', 'ali'), string('UTF8String', 'ce')])),
  'name value: context tag': [cn(element(0x80, Buffer.from('alice'))), 'handshake fails'],
}

const one = attribute('CN', 'alice')
const structures: Rows = {
  'name: empty': { subject: sequence() },
  'name: empty, with critical alternative names': {
    subject: sequence(),
    more: [subjectAltName([generalName.dns('a.test')], true)],
  },
  'name: 100 relative names': { subject: sequence(...many(100, index => set(attribute('OU', `unit ${index}`)))) },
  'name: 1000 relative names': { subject: sequence(...many(1000, index => set(attribute('OU', `unit ${index}`)))) },
  'name: several attributes in one relative name': { subject: sequence(set(one, attribute('O', 'x'))) },
  'name: several attributes, not sorted': { subject: sequence(set(attribute('O', 'x'), one)) },
  'name: 500 attributes in one relative name': {
    subject: sequence(set(...many(500, index => attribute('OU', `unit ${index}`)))),
  },
  'name: two CNs': { subject: sequence(set(one), set(attribute('CN', 'bob'))) },
  'name: the same relative name twice': { subject: sequence(set(one), set(one)) },
  'name: an empty relative name': { subject: sequence(set(), set(one)) },
  'name: unknown attribute type': { subject: sequence(set(attribute(oid('1.3.6.1.4.1.99999.7'), 'x'))) },
  'name: organizationIdentifier': { subject: sequence(set(attribute('organizationIdentifier', 'NTRDE-1234'))) },
  'name: country of three letters': { subject: sequence(set(attribute('C', 'DEU')), set(one)) },
  'name: attribute type with an arc of 2^63': {
    subject: sequence(set(attribute(element(0x06, Buffer.from('2a8280808080808080807f', 'hex')), 'x'))),
  },
  'name: attribute type of 1000 octets': {
    subject: sequence(set(attribute(element(0x06, Buffer.alloc(1000, 0x01)), 'x'))),
  },
  'name: empty attribute type': [
    { subject: sequence(set(attribute(element(0x06, Buffer.alloc(0)), 'x'))) },
    'handshake fails',
  ],
  'name: attribute type cut in an arc': [
    { subject: sequence(set(attribute(element(0x06, Buffer.from([0x55, 0x84])), 'x'))) },
    'handshake fails',
  ],
  'name: attribute of three elements': [
    { subject: sequence(set(sequence(oid('2.5.4.3'), string('UTF8String', 'a'), string('UTF8String', 'b')))) },
    'handshake fails',
  ],
  'name: attribute without value': [{ subject: sequence(set(sequence(oid('2.5.4.3')))) }, 'handshake fails'],
  'name: SEQUENCE in place of SET': [{ subject: sequence(sequence(one)) }, 'handshake fails'],
  'name: SET in place of SEQUENCE': [{ subject: set(set(one)) }, 'handshake fails'],
}

const san = (...names: Buffer[]) => ({ more: [subjectAltName(names)] })
const alternatives: Rows = {
  'alternative name: DNS': san(generalName.dns('a.test')),
  'alternative name: IPv4': san(generalName.ip(192, 0, 2, 1)),
  'alternative name: IPv6': san(generalName.ip(...many(16, index => index))),
  'alternative name: IP of five octets': san(generalName.ip(1, 2, 3, 4, 5)),
  'alternative name: URI': san(generalName.uri('urn:example:alice')),
  'alternative name: SPIFFE': san(generalName.uri('spiffe://example.org/alice')),
  'alternative name: email': san(generalName.email('alice@example.org')),
  'alternative name: otherName (UPN)': san(generalName.other('1.3.6.1.4.1.311.20.2.3', string('UTF8String', 'alice'))),
  'alternative name: directoryName': san(generalName.directory(commonName('alice'))),
  'alternative name: registeredID': san(generalName.registeredId('1.2.3.4')),
  'alternative name: DNS with NUL': san(generalName.dns('a.test\0.evil')),
  'alternative name: DNS wildcard': san(generalName.dns('*.a.test')),
  'alternative name: DNS with octets over 127': san(generalName.dns(Buffer.from('ä.test', 'utf8'))),
  'alternative name: URI with line ends': san(generalName.uri('urn:x\r\nDNS:evil')),
  'alternative name: URI of 60 KB': san(generalName.uri(`urn:${'x'.repeat(60_000)}`)),
  'alternative name: 2000 names': san(...many(2000, index => generalName.dns(`h${index}.a.test`))),
  'alternative name: none in the list': san(),
  'alternative name: unknown tag': [san(element(0x8c, Buffer.from('x'))), 'certificate_untrusted'],
  'alternative name: not DER': [
    { more: [extension('subjectAltName', Buffer.from('no names'))] },
    'certificate_untrusted',
  ],
  'alternative name: twice': [
    { more: [subjectAltName([generalName.dns('a.test')]), subjectAltName([generalName.dns('b.test')])] },
    'certificate_untrusted',
  ],
}

/** The name of the issuer, compared with that of the authority, whose string is a UTF8String. */
const issuers: Rows = {
  'issuer: the name as PrintableString': { issuer: commonName(string('PrintableString', 'corpus root')) },
  'issuer: the name as BMPString': { issuer: commonName(string('BMPString', 'corpus root')) },
  'issuer: the name in capitals': { issuer: commonName('CORPUS ROOT') },
  'issuer: the name with more spaces': { issuer: commonName('  corpus   root ') },
  'issuer: another name': [{ issuer: commonName('somebody') }, 'certificate_untrusted'],
  'issuer: the name with NUL after it': [{ issuer: commonName('corpus root\0') }, 'certificate_untrusted'],
  'issuer: an empty name': [{ issuer: sequence() }, 'certificate_untrusted'],
  'issuer: the name of the subject': [{ issuer: commonName('alice') }, 'certificate_untrusted'],
  'issuer: the name of another authority': [{ issuer: sub.name }, 'certificate_untrusted'],
  'issuer: 64 KiB': [{ issuer: commonName('a'.repeat(65_536)) }, 'certificate_untrusted'],
  "subject: the root's name": { subject: root.name },
}

/** Subjects that OpenSSL can parse, also used for authorities. */
export const nameStrings: readonly (readonly [name: string, subject: Buffer])[] = Object.entries({
  ...strings,
  ...values,
  ...structures,
}).flatMap(([name, row]) => ('subject' in row && row.subject !== undefined ? [[name, row.subject] as const] : []))

export function clientNames(): ClientEntry[] {
  const tables = [strings, values, structures, alternatives, issuers]
  return [
    ...tables.flatMap(presentRows),
    present('no certificate at all', { chain: [], trust: world }, 'no_certificate'),
    present('a certificate and nothing else', { chain: [leaf()] }, 'accepted'),
  ]
}
