// The dates of certificates and revocation lists (RFC 5280 §4.1.2.5, §5.1.2.4), in the only forms that OpenSSL accepts. For
// any other form OpenSSL rejects the certificate, or every certificate that the list covers.
import { parseCalendarTime } from './calendar-time.ts'
import type { Element } from './der.ts'

const utcTime = 0x17
const generalizedTime = 0x18

/** Returns whether a tag is that of a Time. */
export function isTime(tag: number | undefined): boolean {
  return tag === utcTime || tag === generalizedTime
}

/**
 * Parses a Time: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. Returns milliseconds since 1970, or undefined for another form or a day that
 * does not exist.
 */
export function readTime({ tag, content }: Element): number | undefined {
  if (!isTime(tag)) return undefined
  const text = content.toString('latin1')
  const century = tag === generalizedTime ? '' : text < '50' ? '20' : '19'
  const [, date, time] = /^(\d{8})(\d{6})Z$/.exec(century + text) ?? []
  if (date === undefined || time === undefined) return undefined
  const moment = `${date.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}`
  return parseCalendarTime(moment)
}
