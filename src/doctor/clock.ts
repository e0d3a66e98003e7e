// Compares this machine's clock with all other observed times.
import { statSync } from 'node:fs'
import { type Finding, failure, good, warning } from './finding.ts'
import type { ClockReading } from './remote-json.ts'

/** Milliseconds. A `Date` header has whole seconds and a delay; tokens from further in the future are rejected. */
const tolerated = 3000
const harmful = 10_000

/** Compares with readings of other clocks, and with file times, which cannot be in the future. */
export function checkClock(readings: readonly ClockReading[], files: readonly string[], now: number): Finding[] {
  const remedy = 'synchronize both clocks with NTP'
  const others = readings.map(({ of, theirs, ours }) => {
    const ahead = Math.round((ours - theirs) / 1000)
    const difference = `this clock is ${Math.abs(ahead)} s ${ahead < 0 ? 'behind' : 'ahead of'} the clock of ${of}`
    if (Math.abs(ours - theirs) > harmful) return failure(difference, remedy)
    if (Math.abs(ours - theirs) > tolerated) return warning(difference, remedy)
    return good(`this clock agrees with the clock of ${of}`)
  })
  const late = files.filter(file => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > now + harmful)
  const ahead = late.map(file =>
    warning(`${file} has a modification time in the future: this clock was set back`, 'synchronize it with NTP'),
  )
  const findings = [...others, ...ahead]
  return findings.length > 0 ? findings : [good(`${new Date(now).toISOString()}; no file has a later time`)]
}
