// Dates and times that exist, for certificates, revocation lists and tokens.
import t from 'tap'
import { parseCalendarTime } from '../../src/core/calendar-time.ts'

t.test('parses times of the calendar, and no others', async t => {
  t.equal(parseCalendarTime('2028-02-29T23:59:59'), Date.UTC(2028, 1, 29, 23, 59, 59))
  t.equal(parseCalendarTime('0001-01-01T00:00:00'), -62_135_596_800_000)
  for (const text of [
    ...[
      '2027-02-30T08:00:00',
      '2027-02-29T08:00:00',
      '2027-04-31T08:00:00',
      '2027-13-01T08:00:00',
      '2027-00-10T08:00:00',
    ],
    ...['2027-01-00T08:00:00', '2027-01-15T24:00:00', '2027-01-15T08:60:00', '2027-01-15T08:00:60'],
    ...['2027-01-15', '2027-01-15T08:00', '2027-01-15T08:00:00Z', '2027-01-15 08:00:00', '12027-01-15T08:00:00', ''],
  ])
    t.equal(parseCalendarTime(text), undefined, text)
})
