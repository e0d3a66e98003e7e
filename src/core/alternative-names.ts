// The alternative names of a certificate (RFC 5280 §4.2.1.6), as text for display. subject-rule.ts compares names with
// node:crypto instead.
import { readExtension, readFields, subjectAltName } from './certificate-fields.ts'
import { readSequence } from './der.ts'
import { escapeForDisplay } from './escape-for-display.ts'

export interface AlternativeName {
  /** By the context tag of GeneralName. */
  readonly kind: 'san_email' | 'san_dns' | 'san_uri' | 'san_ip' | 'other'
  /** Escaped for display. */
  readonly value: string
}

const kinds: ReadonlyMap<number, AlternativeName['kind']> = new Map([
  [0x81, 'san_email'],
  [0x82, 'san_dns'],
  [0x86, 'san_uri'],
  [0x87, 'san_ip'],
])

/** Reads at most `limit` alternative names of a certificate. @throws RangeError for invalid DER. */
export function readAlternativeNames(certificate: Buffer, limit: number): AlternativeName[] {
  const names = readExtension(readFields(certificate), subjectAltName)
  if (names === undefined) return []
  return readSequence(names)
    .slice(0, limit)
    .map(({ tag, content }) => {
      const kind = kinds.get(tag) ?? 'other'
      const value = kind === 'san_ip' ? describeAddress(content) : kind === 'other' ? '' : content.toString('latin1')
      return { kind, value: escapeForDisplay(value) }
    })
}

function describeAddress(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.')
  if (octets.length !== 16) return `#${octets.toString('hex')}`
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(2 * index).toString(16))
  return new URL(`https://[${groups.join(':')}]`).hostname.slice(1, -1)
}
