// The fields of a certificate that Node does not provide, or provides only as text (RFC 5280 §4.1).
// Only for certificates that OpenSSL has parsed. Every function throws RangeError for an unknown structure.
import type { X509Certificate } from 'node:crypto'
import { type Element, readElements, readSequence } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'

export interface CertificateFields {
  readonly serial: Buffer
  readonly issuer: Element
  /** notBefore and notAfter, each a Time. */
  readonly validity: readonly Element[]
  readonly subject: Element
  /** Content of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer
  readonly extensions: readonly Element[]
}

type Extended = Pick<CertificateFields, 'extensions'>

/** Identifies the key of an issuer, in certificates and revocation lists (RFC 5280 §4.2.1.1). */
export interface AuthorityKey {
  /** The subjectKeyIdentifier of the issuer's certificate. */
  readonly identifier: Buffer | undefined
  /** Issuer and serial number of the issuer's certificate. */
  readonly issuer: Element | undefined
  readonly serial: Buffer | undefined
}

/** The usages of a key that are checked here (RFC 5280 §4.2.1.3). */
export interface KeyUsage {
  readonly digitalSignature: boolean
  readonly keyAgreement: boolean
  readonly keyCertSign: boolean
  readonly cRLSign: boolean
}

/** Parses the DER of a certificate into the fields that are used here. */
export function readFields(certificate: Buffer): CertificateFields {
  const signed = readElements(readSequence(certificate)[0]?.content ?? Buffer.alloc(0))
  const [serial, , issuer, validity, subject, publicKey] = signed[0]?.tag === 0xa0 ? signed.slice(1) : signed // [0] version
  if (serial?.tag !== 0x02 || issuer?.tag !== 0x30 || subject?.tag !== 0x30 || publicKey?.tag !== 0x30)
    throw new RangeError('not a certificate')
  const extensions = signed.find(element => element.tag === 0xa3)
  return {
    serial: serial.content,
    issuer,
    validity: readElements(validity?.content ?? Buffer.alloc(0)),
    subject,
    publicKey: publicKey.content,
    extensions: extensions ? readSequence(extensions.content) : [],
  }
}

/** Returns the content of the extnValue of an extension, by its object identifier in DER (RFC 5280 §4.2). */
export function readExtension({ extensions }: Extended, id: Buffer): Buffer | undefined {
  for (const extension of extensions) {
    const [type, ...rest] = readElements(extension.content)
    if (type?.content.equals(id)) return rest.at(-1)?.content ?? Buffer.alloc(0) // after an optional BOOLEAN `critical`
  }
  return undefined
}

/** Returns the object identifiers of the critical extensions. */
export function readCriticalExtensions({ extensions }: Extended): string[] {
  return extensions.flatMap(extension => {
    const [type, critical] = readElements(extension.content)
    const isCritical = critical?.tag === 0x01 && critical.content[0] !== 0
    return type !== undefined && isCritical ? [readObjectIdentifier(type.content)] : []
  })
}

/** Returns the basicConstraints (RFC 5280 §4.2.1.9), or undefined if the extension is absent. */
export function readBasicConstraints(fields: Extended): { readonly pathLength: number | undefined } | undefined {
  const value = readExtension(fields, basicConstraints)
  if (value === undefined) return undefined
  const length = readSequence(value).find(({ tag }) => tag === 0x02)?.content
  return { pathLength: length?.length === 1 ? length[0] : undefined } // a length of 256 or more is no practical limit
}

/** Returns whether an EC key contains the parameters of its curve instead of the name (RFC 5480 §2.1.1). */
export function hasExplicitCurve({ publicKey }: Pick<CertificateFields, 'publicKey'>): boolean {
  const [type, parameters] = readElements(readElements(publicKey)[0]?.content ?? Buffer.alloc(0))
  return type?.content.equals(ecPublicKey) === true && parameters?.tag === 0x30
}

/** Returns the URIs, context tag [6], of the subject alternative names (RFC 5280 §4.2.1.6). */
export function readUris(fields: Extended): Buffer[] {
  const names = readExtension(fields, subjectAltName)
  return names === undefined ? [] : urisOf(readSequence(names))
}

/** Returns the subjectKeyIdentifier (RFC 5280 §4.2.1.2). */
export function readSubjectKeyIdentifier(fields: Extended): Buffer | undefined {
  const value = readExtension(fields, subjectKeyIdentifier)
  return value === undefined ? undefined : readElements(value)[0]?.content
}

/** Returns the authorityKeyIdentifier of a certificate. */
export function readAuthorityKey(fields: Extended): AuthorityKey | undefined {
  const value = readExtension(fields, authorityKeyIdentifier)
  return value === undefined ? undefined : parseAuthorityKey(value)
}

/** Parses the DER of an AuthorityKeyIdentifier. */
export function parseAuthorityKey(value: Buffer): AuthorityKey {
  const members = readSequence(value)
  const find = (tag: number) => members.find(member => member.tag === tag)?.content
  const names = find(0xa1)
  const directoryName = names && readElements(names).find(({ tag }) => tag === 0xa4)
  return {
    identifier: find(0x80),
    issuer: directoryName && readElements(directoryName.content)[0],
    serial: find(0x82),
  }
}

/** Returns the common names of the subject that are text, in order (X.520 §6.2.2). */
export function readCommonNames({ subject }: CertificateFields): string[] {
  return readElements(subject.content)
    .flatMap(relative => readElements(relative.content))
    .flatMap(attribute => {
      const [type, value] = readElements(attribute.content)
      const decoder = value && type?.content.equals(commonName) ? textDecoders[value.tag] : undefined
      return value && decoder ? decoder.decode(value.content) : []
    })
}

/** Returns the keyUsage, or undefined if the extension is absent and any usage is allowed. */
export function readKeyUsage(fields: Extended): KeyUsage | undefined {
  const value = readExtension(fields, keyUsage)
  if (value === undefined) return undefined
  const bits = readElements(value)[0]?.content[1] ?? 0 // after the number of unused bits
  const has = (bit: number) => (bits & (0x80 >> bit)) !== 0
  return { digitalSignature: has(0), keyAgreement: has(4), keyCertSign: has(5), cRLSign: has(6) }
}

/**
 * Returns the object identifiers of the extended key usage, which Node calls `keyUsage`; undefined if the extension is absent or
 * malformed. Of a malformed one, Node leaves errors in OpenSSL's queue of this thread. The next read on any TLS connection would take
 * them for its own, and end that connection. `checkIssued` empties the queue.
 */
export function readPurposes(x509: X509Certificate): readonly string[] | undefined {
  const purposes = x509.keyUsage
  if (purposes === undefined) x509.checkIssued(x509)
  return purposes
}

/**
 * Returns the URIs of the distribution points whose revocation lists are from the issuer of the certificate and cover all
 * reasons (RFC 5280 §4.2.1.13).
 */
export function readDistributionPoints(fields: Extended): string[] {
  const value = readExtension(fields, crlDistributionPoints)
  if (value === undefined) return []
  return readSequence(value).flatMap(point => {
    const [name, ...restrictions] = readElements(point.content)
    return name?.tag === 0xa0 && restrictions.length === 0 ? readFullName(name.content) : []
  })
}

/** Returns the URIs of a DistributionPointName; none for a name relative to that of the issuer. */
export function readFullName(name: Buffer): string[] {
  const [form] = readElements(name)
  return form?.tag === 0xa0 ? urisOf(readElements(form.content)).map(uri => uri.toString('latin1')) : []
}

function urisOf(names: readonly Element[]): Buffer[] {
  return names.filter(name => name.tag === 0x86).map(name => name.content)
}

/** Object identifiers below 2.5.29, id-ce (RFC 5280 §4.2.1). */
const idOf = (arc: number) => Buffer.from([0x55, 0x1d, arc])
const subjectKeyIdentifier = idOf(14)
const keyUsage = idOf(15)
const basicConstraints = idOf(19)
export const subjectAltName = idOf(17)
const crlDistributionPoints = idOf(31)
const authorityKeyIdentifier = idOf(35)
const ecPublicKey = Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]) // 1.2.840.10045.2.1
const commonName = Buffer.from([0x55, 0x04, 0x03]) // 2.5.4.3
const [utf8, latin1, utf16] = ['utf-8', 'latin1', 'utf-16be'].map(name => new TextDecoder(name))
/** By tag: UTF8String, PrintableString, TeletexString, IA5String, BMPString. */
const textDecoders: Readonly<Record<number, InstanceType<typeof TextDecoder> | undefined>> = {
  12: utf8,
  19: utf8,
  20: latin1,
  22: utf8,
  30: utf16,
}
