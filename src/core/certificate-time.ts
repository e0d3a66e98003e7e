// The dates of certificates and revocation lists (RFC 5280 §4.1.2.5, §5.1.2.4), in the only forms that OpenSSL compares with the
// clock: with another one it refuses the certificate, or every certificate that the list is for.
import type { Element } from './der.ts'

const utcTime = 0x17
const generalizedTime = 0x18

/** Whether a tag is one of a Time. */
export function isTime(tag: number | undefined): boolean {
  return tag === utcTime || tag === generalizedTime
}

/**
 * Reads a Time: YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. Returns milliseconds since 1970; undefined: another form, or a day that does
 * not exist.
 */
export function readTime({ tag, content }: Element): number | undefined {
  if (!isTime(tag)) return undefined
  const text = content.toString('latin1')
  const century = tag === generalizedTime ? '' : text < '50' ? '20' : '19'
  const [, date, time] = /^(\d{8})(\d{6})Z$/.exec(century + text) ?? []
  if (date === undefined || time === undefined) return undefined
  const moment = `${date.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}`
  const milliseconds = Date.parse(`${moment}Z`)
  // Date.parse takes a 30th of February for a day of March.
  return !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(moment)
    ? milliseconds
    : undefined
}
