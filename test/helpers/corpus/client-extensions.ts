// Client certificates by their extensions, and by the extensions of their authorities (RFC 5280 §4.2).
import {
  authorityKeyIdentifier,
  basicConstraints,
  buildAuthority,
  extendedKeyUsage,
  extension,
  generalName,
  keyUsage,
  nameConstraints,
  type Order,
  purposes,
  subjectAltName,
  subjectKeyIdentifier,
} from './certificate.ts'
import { bits, boolean, commonName, context, element, implicit, integer, oid, sequence, string } from './der.ts'
import type { ClientEntry, ClientVerdict } from './entry.ts'
import { below, present, presentRows, type Rows, root } from './world.ts'

const untrusted = 'certificate_untrusted'
const many = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))
const unknown = (critical: boolean, value: Buffer = integer(1)) => extension('unknown', value, critical)

/** Replaces the default extension of that name. */
const purpose = (...more: Buffer[]): Partial<Order> => ({ without: ['extendedKeyUsage'], more })
const usage = (...more: Buffer[]): Partial<Order> => ({ without: ['keyUsage'], more })
const constraints = (...more: Buffer[]): Partial<Order> => ({ more })
const keys = (...more: Buffer[]): Partial<Order> => ({
  without: ['authorityKeyIdentifier', 'subjectKeyIdentifier'],
  more,
})

const purposeRows: Rows = {
  'purpose: none': [purpose(), untrusted],
  'purpose: clientAuth': purpose(extendedKeyUsage(['clientAuth'])),
  'purpose: clientAuth, critical': purpose(extendedKeyUsage(['clientAuth'], true)),
  'purpose: clientAuth and serverAuth': purpose(extendedKeyUsage(['serverAuth', 'clientAuth'])),
  'purpose: serverAuth': [purpose(extendedKeyUsage(['serverAuth'])), untrusted],
  'purpose: codeSigning and emailProtection': [
    purpose(extendedKeyUsage(['codeSigning', 'emailProtection'])),
    untrusted,
  ],
  'purpose: any': [purpose(extendedKeyUsage(['any'])), untrusted],
  'purpose: any and clientAuth': purpose(extendedKeyUsage(['any', 'clientAuth'])),
  'purpose: an unknown one': [purpose(extendedKeyUsage(['unknown'])), untrusted],
  'purpose: an unknown one and clientAuth, critical': purpose(extendedKeyUsage(['unknown', 'clientAuth'], true)),
  'purpose: an empty list': [purpose(extendedKeyUsage([])), untrusted],
  'purpose: 1000 unknown ones and clientAuth': purpose(
    extension(
      'extendedKeyUsage',
      sequence(...many(1000, index => oid(`1.3.6.1.4.1.99999.${index}`)), oid(purposes.clientAuth)),
    ),
  ),
  'purpose: clientAuth twice in the list': purpose(extendedKeyUsage(['clientAuth', 'clientAuth'])),
  'purpose: two extensions': [purpose(extendedKeyUsage(['clientAuth']), extendedKeyUsage(['serverAuth'])), untrusted],
  'purpose: not DER': [purpose(extension('extendedKeyUsage', Buffer.from('clientAuth'))), untrusted],
  'purpose: a list of texts': [
    purpose(extension('extendedKeyUsage', sequence(string('UTF8String', 'clientAuth')))),
    untrusted,
  ],
  'purpose: clientAuth and a broken one': [
    purpose(extension('extendedKeyUsage', sequence(oid(purposes.clientAuth), element(0x06, Buffer.from([0x80, 1]))))),
    untrusted,
  ],
  // OpenSSL parses the value and ignores the octets after it.
  'purpose: octets behind the list': purpose(
    extension('extendedKeyUsage', Buffer.concat([sequence(oid(purposes.clientAuth)), Buffer.from([5, 0])])),
  ),
}

const usageRows: Rows = {
  'usage: none': usage(),
  'usage: digitalSignature, not critical': usage(keyUsage(['digitalSignature'], false)),
  'usage: keyEncipherment alone': [usage(keyUsage(['keyEncipherment'])), untrusted],
  'usage: keyAgreement alone': usage(keyUsage(['keyAgreement'])),
  'usage: nonRepudiation alone': [usage(keyUsage(['nonRepudiation'])), untrusted],
  'usage: digitalSignature and keyEncipherment': usage(keyUsage(['digitalSignature', 'keyEncipherment'])),
  'usage: digitalSignature and keyCertSign, no authority': usage(keyUsage(['digitalSignature', 'keyCertSign'])),
  'usage: keyCertSign alone': [usage(keyUsage(['keyCertSign'])), untrusted],
  'usage: an empty bit string': [usage(keyUsage([])), untrusted],
  'usage: one octet of zeros': [usage(extension('keyUsage', bits(Buffer.from([0])), true)), untrusted],
  'usage: all bits of 1000 octets': usage(extension('keyUsage', bits(Buffer.alloc(1000, 0xff)), true)),
  'usage: not DER': [usage(extension('keyUsage', Buffer.from([3, 9]), true)), untrusted],
  'usage: two extensions': [usage(keyUsage(['digitalSignature']), keyUsage(['keyEncipherment'])), untrusted],
}

const constraintRows: Rows = {
  'constraints: no authority, critical': constraints(basicConstraints(false)),
  'constraints: no authority, not critical': constraints(basicConstraints(false, undefined, false)),
  'constraints: no authority, false written out': constraints(
    extension('basicConstraints', sequence(boolean(false)), true),
  ),
  'constraints: an authority that signs handshakes as well': constraints(basicConstraints(true)),
  'constraints: a path length without an authority': constraints(basicConstraints(false, 0)),
  'constraints: a negative path length': [constraints(basicConstraints(true, Buffer.from([0xff]))), untrusted],
  'constraints: true as 1': constraints(extension('basicConstraints', sequence(element(0x01, Buffer.from([1]))), true)),
  'constraints: a path length of 2^128': constraints(basicConstraints(true, Buffer.alloc(17, 0x01))),
  'constraints: not DER': [constraints(extension('basicConstraints', Buffer.from('no'), true)), untrusted],
  'constraints: two extensions': [constraints(basicConstraints(false), basicConstraints(false)), untrusted],
}

const keyRows: Rows = {
  'key identifier: no authority key identifier': keys(),
  'key identifier: that of another key': [keys(authorityKeyIdentifier(Buffer.alloc(20, 7))), untrusted],
  'key identifier: an empty one': [keys(authorityKeyIdentifier(Buffer.alloc(0))), untrusted],
  'key identifier: nothing in it': keys(authorityKeyIdentifier(undefined)),
  'key identifier: issuer and serial number of the authority': keys(
    authorityKeyIdentifier(undefined, { name: root.name, serial: serialOf(root.der) }),
  ),
  'key identifier: issuer and another serial number': [
    keys(authorityKeyIdentifier(undefined, { name: root.name, serial: Buffer.from([9]) })),
    untrusted,
  ],
  'key identifier: another issuer and the serial number': [
    keys(authorityKeyIdentifier(undefined, { name: commonName('somebody'), serial: serialOf(root.der) })),
    untrusted,
  ],
  'key identifier: of 10 000 octets': [keys(authorityKeyIdentifier(Buffer.alloc(10_000, 7))), untrusted],
  'key identifier: not DER': [keys(extension('authorityKeyIdentifier', Buffer.from('no'))), untrusted],
  'key identifier: two extensions': [{ more: [authorityKeyIdentifier(root.identifier)] }, untrusted],
  'key identifier: two of the subject': [{ more: [subjectKeyIdentifier(Buffer.from([1]))] }, untrusted],
  'key identifier: an empty one of the subject': {
    without: ['subjectKeyIdentifier'],
    more: [subjectKeyIdentifier(Buffer.alloc(0))],
  },
}

/** INTEGER content of the serial number, which follows the version in the certificates built here. */
function serialOf(der: Buffer): Buffer {
  const at = der.indexOf(Buffer.from('a003020102', 'hex')) + 5
  return der.subarray(at + 2, at + 2 + (der[at + 1] as number))
}

const more = (...extensions: Buffer[]): Partial<Order> => ({ more: extensions })
const policy = (id: string) => sequence(oid(id))
const others: Rows = {
  'extension: unknown': more(unknown(false)),
  'extension: unknown and critical': [more(unknown(true)), untrusted],
  'extension: unknown, empty and critical': [more(unknown(true, Buffer.alloc(0))), untrusted],
  'extension: unknown, twice': more(unknown(false), unknown(false)),
  'extension: unknown, of 60 KB': more(unknown(false, Buffer.alloc(60_000, 0x30))),
  'extension: 200 of them': more(
    ...many(200, index => sequence(oid(`1.3.6.1.4.1.99999.2.${index}`), element(0x04, Buffer.from([5, 0])))),
  ),
  'extension: unknown, critical written as 1': [
    more(sequence(oid('1.3.6.1.4.1.99999.1'), element(0x01, Buffer.from([1])), element(0x04, Buffer.from([5, 0])))),
    untrusted,
  ],
  'extension: critical written as false': more(
    sequence(oid('1.3.6.1.4.1.99999.1'), boolean(false), element(0x04, Buffer.from([5, 0]))),
  ),
  'extension: without value': [more(sequence(oid('1.3.6.1.4.1.99999.1'))), 'handshake fails'],
  'extension: an INTEGER in place of octets': [
    more(sequence(oid('1.3.6.1.4.1.99999.1'), integer(1))),
    'handshake fails',
  ],
  'extension: policies': more(extension('certificatePolicies', sequence(policy('1.2.3.4')))),
  'extension: policies, critical': more(extension('certificatePolicies', sequence(policy('1.2.3.4')), true)),
  'extension: policies, not DER': more(extension('certificatePolicies', Buffer.from('no'), true)),
  'extension: policy constraints that demand a policy': more(
    extension('policyConstraints', sequence(implicit(0, Buffer.from([0]))), true),
  ),
  'extension: inhibitAnyPolicy': more(extension('inhibitAnyPolicy', integer(0), true)),
  'extension: must staple': more(extension('tlsFeature', sequence(integer(5)))),
  'extension: must staple, critical': [more(extension('tlsFeature', sequence(integer(5)), true)), untrusted],
  'extension: Netscape type, for servers': [
    more(extension('netscapeCertificateType', bits(Buffer.from([0x40]), 6))),
    untrusted,
  ],
  'extension: Netscape type, for clients': more(extension('netscapeCertificateType', bits(Buffer.from([0x80]), 7))),
  'extension: no revocation available': more(extension('noRevocationAvailable', element(0x05, Buffer.alloc(0)))),
  'extension: addresses of lists': more(
    extension(
      'crlDistributionPoints',
      sequence(...many(3, index => point([generalName.uri(`http://127.0.0.1:9/${index}.crl`)]))),
    ),
  ),
  'extension: address of the authority': more(
    extension(
      'authorityInfoAccess',
      sequence(sequence(oid('1.3.6.1.5.5.7.48.2'), generalName.uri('http://127.0.0.1:9/ca.crt'))),
    ),
  ),
  'extension: a proxy certificate': [
    more(extension('proxyCertificate', sequence(sequence(oid('1.3.6.1.5.5.7.21.1'))), true)),
    untrusted,
  ],
  'extension: IP addresses that the root does not have': [
    more(
      extension(
        'ipAddressBlocks',
        sequence(sequence(element(0x04, Buffer.from([0, 1])), sequence(bits(Buffer.from([10]))))),
        true,
      ),
    ),
    untrusted,
  ],
  'extension: name constraints in a leaf': more(nameConstraints([generalName.dns('a.test')])),
}

function point(names: readonly Buffer[]): Buffer {
  return sequence(context(0, context(0, ...names)))
}

/** Below an authority with these extensions, which replace the default ones of the same name. */
type Between = readonly [authority: Partial<Order>, leaf?: Partial<Order>, verdict?: ClientVerdict]
const replaced = (name: 'basicConstraints' | 'keyUsage', ...more: Buffer[]): Partial<Order> => ({
  without: [name],
  more,
})
const directory = generalName.directory
const address = (...names: Buffer[]): Partial<Order> => ({ more: [subjectAltName(names)] })
const permitted = (...names: Buffer[]): Partial<Order> => ({ more: [nameConstraints(names)] })
const excluded = (...names: Buffer[]): Partial<Order> => ({ more: [nameConstraints([], names)] })

const between: Readonly<Record<string, Between>> = {
  'authority: in order': [{}],
  'authority: no basic constraints': [replaced('basicConstraints'), {}, untrusted],
  'authority: basic constraints not critical': [replaced('basicConstraints', basicConstraints(true, undefined, false))],
  'authority: no authority by its basic constraints': [
    replaced('basicConstraints', basicConstraints(false)),
    {},
    untrusted,
  ],
  'authority: version 1': [{ version: null, extensions: null }, {}, untrusted],
  'authority: path length 0': [replaced('basicConstraints', basicConstraints(true, 0))],
  'authority: negative path length': [
    replaced('basicConstraints', basicConstraints(true, Buffer.from([0x80]))),
    {},
    untrusted,
  ],
  'authority: no key usage': [replaced('keyUsage')],
  'authority: key usage without keyCertSign': [
    replaced('keyUsage', keyUsage(['digitalSignature', 'cRLSign'])),
    {},
    untrusted,
  ],
  'authority: purpose serverAuth': [{ more: [extendedKeyUsage(['serverAuth'])] }, {}, untrusted],
  'authority: purpose clientAuth': [{ more: [extendedKeyUsage(['clientAuth'])] }],
  'authority: purpose any': [{ more: [extendedKeyUsage(['any'])] }, {}, untrusted],
  'authority: purpose codeSigning, critical': [{ more: [extendedKeyUsage(['codeSigning'], true)] }, {}, untrusted],
  'authority: unknown critical extension': [{ more: [unknown(true)] }, {}, untrusted],
  'authority: unknown extension twice': [{ more: [unknown(false), unknown(false)] }],
  'authority: basic constraints twice': [{ more: [basicConstraints(true)] }, {}, untrusted],
  'authority: policy constraints that demand a policy, which the leaf has not': [
    { more: [extension('policyConstraints', sequence(implicit(0, Buffer.from([0]))), true)] },
  ],
  'constrained: DNS kept': [permitted(generalName.dns('a.test')), address(generalName.dns('x.a.test'))],
  'constrained: DNS broken': [permitted(generalName.dns('a.test')), address(generalName.dns('b.test')), untrusted],
  'constrained: one DNS name of two broken': [
    permitted(generalName.dns('a.test')),
    address(generalName.dns('x.a.test'), generalName.dns('b.test')),
    untrusted,
  ],
  'constrained: DNS excluded': [excluded(generalName.dns('a.test')), address(generalName.dns('x.a.test')), untrusted],
  'constrained: DNS, and the leaf has none': [permitted(generalName.dns('a.test'))],
  'constrained: DNS, and CN has the form of another one': [
    permitted(generalName.dns('a.test')),
    { subject: commonName('b.test') },
    untrusted,
  ],
  'constrained: DNS in capitals': [permitted(generalName.dns('A.Test')), address(generalName.dns('x.a.TEST'))],
  // Compared octet by octet it lies within, and so does everything else here.
  'constrained: DNS with NUL in the leaf, kept': [
    permitted(generalName.dns('a.test')),
    address(generalName.dns('b.test\0.a.test')),
  ],
  'constrained: DNS with NUL in the leaf, broken': [
    permitted(generalName.dns('a.test')),
    address(generalName.dns('x.a.test\0.b.test')),
    untrusted,
  ],
  'constrained: URI kept': [permitted(generalName.uri('.a.test')), address(generalName.uri('https://x.a.test/y'))],
  'constrained: URI broken': [
    permitted(generalName.uri('.a.test')),
    address(generalName.uri('https://b.test/y')),
    untrusted,
  ],
  'constrained: URI without host': [
    permitted(generalName.uri('.a.test')),
    address(generalName.uri('urn:x')),
    untrusted,
  ],
  'constrained: URI excluded': [
    excluded(generalName.uri('b.test')),
    address(generalName.uri('spiffe://b.test/y')),
    untrusted,
  ],
  'constrained: email kept': [permitted(generalName.email('a.test')), address(generalName.email('x@a.test'))],
  'constrained: email broken': [
    permitted(generalName.email('a.test')),
    address(generalName.email('x@b.test')),
    untrusted,
  ],
  'constrained: directory name kept': [permitted(directory(commonName('alice'))), { subject: commonName('alice') }],
  'constrained: directory name broken': [
    permitted(directory(commonName('bob'))),
    { subject: commonName('alice') },
    untrusted,
  ],
  'constrained: directory name of another string type': [
    permitted(directory(commonName(string('PrintableString', 'alice')))),
    { subject: commonName('alice') },
  ],
  'constrained: directory name excluded': [
    excluded(directory(commonName('alice'))),
    { subject: commonName('alice') },
    untrusted,
  ],
  'constrained: IP kept': [
    permitted(generalName.ip(192, 0, 2, 0, 255, 255, 255, 0)),
    address(generalName.ip(192, 0, 2, 9)),
  ],
  'constrained: IP broken': [
    permitted(generalName.ip(192, 0, 2, 0, 255, 255, 255, 0)),
    address(generalName.ip(192, 0, 3, 9)),
    untrusted,
  ],
  'constrained: IP with a mask of five octets': [
    permitted(generalName.ip(192, 0, 2, 0, 255)),
    address(generalName.ip(192, 0, 2, 9)),
    untrusted,
  ],
  'constrained: otherName, which nobody can compare': [
    permitted(generalName.other('1.3.6.1.4.1.311.20.2.3', string('UTF8String', 'x'))),
    address(generalName.other('1.3.6.1.4.1.311.20.2.3', string('UTF8String', 'x'))),
    untrusted,
  ],
  'constrained: registered ID, which nobody can compare': [
    permitted(generalName.registeredId('1.2.3')),
    address(generalName.registeredId('1.2.3.4')),
    untrusted,
  ],
  'constrained: not critical, broken': [
    { more: [nameConstraints([generalName.dns('a.test')], [], false)] },
    address(generalName.dns('b.test')),
    untrusted,
  ],
  'constrained: an empty extension': [{ more: [nameConstraints([])] }],
  'constrained: with a minimum': [
    {
      more: [
        extension(
          'nameConstraints',
          sequence(context(0, sequence(generalName.dns('a.test'), implicit(0, Buffer.from([1]))))),
          true,
        ),
      ],
    },
    address(generalName.dns('x.a.test')),
    untrusted,
  ],
  'constrained: not DER': [{ more: [extension('nameConstraints', Buffer.from('no'), true)] }, {}, untrusted],
  'constrained: 1500 names by 1000 constraints': [
    permitted(...many(1000, index => generalName.dns(`n${index}.test`))),
    address(...many(1500, index => generalName.dns(`x.n${index % 1000}.test`))),
    untrusted,
  ],
}

export function clientExtensions(): ClientEntry[] {
  const tables = [purposeRows, usageRows, constraintRows, keyRows, others]
  return [
    ...tables.flatMap(presentRows),
    ...Object.entries(between).map(([name, [authority, order = {}, verdict = 'accepted']]) => {
      const sub = buildAuthority('between', { key: 'sub', by: root, ...authority })
      return present(name, { chain: below([sub], order) }, verdict)
    }),
  ]
}
