// The fields of a certificate that Node does not give, or gives only as text to be taken apart (RFC 5280 §4.1).
// Only for certificates that OpenSSL has accepted. Every function throws RangeError on a structure we do not know.
import { type Element, readElements, readSequence } from './der.ts'

export interface CertificateFields {
  readonly serial: Buffer
  readonly issuer: Element
  readonly subject: Element
  readonly extensions: readonly Element[]
}

/** Takes the DER of a certificate apart, down to the fields that something here asks for. */
export function readFields(certificate: Buffer): CertificateFields {
  const signed = readElements(readSequence(certificate)[0]?.content ?? Buffer.alloc(0))
  const [serial, , issuer, , subject] = signed[0]?.tag === 0xa0 ? signed.slice(1) : signed // [0] version
  if (serial?.tag !== 0x02 || issuer?.tag !== 0x30 || subject?.tag !== 0x30) throw new RangeError('not a certificate')
  const extensions = signed.find(element => element.tag === 0xa3)
  return { serial: serial.content, issuer, subject, extensions: extensions ? readSequence(extensions.content) : [] }
}

/** The uniformResourceIdentifier names, context tag [6], of the subject alternative names (RFC 5280 §4.2.1.6). */
export function readUris({ extensions }: CertificateFields): Buffer[] {
  for (const extension of extensions) {
    const [type, ...rest] = readElements(extension.content)
    if (!type?.content.equals(subjectAltName)) continue
    const names = readSequence(rest.at(-1)?.content ?? Buffer.alloc(0)) // after an optional BOOLEAN `critical`
    return names.filter(name => name.tag === 0x86).map(name => name.content)
  }
  return []
}

/** The common names of the subject that are text (X.520 §6.2.2), in their order. */
export function readCommonNames({ subject }: CertificateFields): string[] {
  return readElements(subject.content)
    .flatMap(relative => readElements(relative.content))
    .flatMap(attribute => {
      const [type, value] = readElements(attribute.content)
      const decoder = value && type?.content.equals(commonName) ? textDecoders[value.tag] : undefined
      return value && decoder ? decoder.decode(value.content) : []
    })
}

/** The serial numbers that a certificate revocation list revokes, and for which issuer (RFC 5280 §5.1). */
export function readRevocations(list: Buffer): { issuer: Element; serials: Buffer[] } {
  const signed = readElements(readSequence(list)[0]?.content ?? Buffer.alloc(0))
  const [, issuer, ...dates] = signed[0]?.tag === 0x02 ? signed.slice(1) : signed // version
  if (issuer?.tag !== 0x30) throw new RangeError('not a certificate revocation list')
  const entries = dates.find(element => element.tag === 0x30) // thisUpdate and nextUpdate are not sequences
  const serials = entries ? readElements(entries.content).map(entry => readElements(entry.content)[0]?.content) : []
  return { issuer, serials: serials.filter(serial => serial !== undefined) }
}

/** Until when a certificate revocation list counts, in milliseconds since 1970; undefined: it does not say. */
export function readNextUpdate(list: Buffer): number | undefined {
  const signed = readElements(readSequence(list)[0]?.content ?? Buffer.alloc(0))
  const next = signed.filter(({ tag }) => tag === utcTime || tag === generalizedTime)[1] // after thisUpdate
  return next && readTime(next)
}

/** RFC 5280 §4.1.2.5: YYMMDDHHMMSSZ until 2049, YYYYMMDDHHMMSSZ from then on. */
function readTime({ tag, content }: Element): number {
  const text = content.toString('latin1')
  const century = tag === generalizedTime ? '' : text < '50' ? '20' : '19'
  const [, date, time] = /^(\d{8})(\d{6})Z$/.exec(century + text) ?? []
  if (date === undefined || time === undefined) throw new RangeError('a time is not of the form of RFC 5280')
  return Date.parse(`${date.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`)
}

const utcTime = 0x17
const generalizedTime = 0x18
const subjectAltName = Buffer.from([0x55, 0x1d, 0x11]) // 2.5.29.17
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
