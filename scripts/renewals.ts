// Runs clients whose certificates are renewed again and again while they work, and prints what happened: `npm run renewals`.
// Exits with 1 if anything was refused or an alarm was raised. Without options: certificates every 20 seconds, for ten minutes,
// under 20 requests per second through the library and as many through the sidecar.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type RenewalResult, runRenewals } from '../test/helpers/client/renewal-run.ts'

const number = { type: 'string' } as const
const { values } = parseArgs({ options: { seconds: number, every: number, rate: number } })
const read = (name: keyof typeof values, otherwise: number) => {
  const value = Number(values[name] ?? otherwise)
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0, not ${values[name]}`)
  return value
}
const plan = { seconds: read('seconds', 600), every: read('every', 20), rate: read('rate', 20) }

const ends: (() => unknown)[] = []
const folder = mkdtempSync(join(tmpdir(), 'tlsbound-renewals-'))
const started = performance.now()
let result: RenewalResult
try {
  console.log(`${plan.seconds} s, new certificates every ${plan.every} s, ${plan.rate} requests/s each`)
  result = await runRenewals({ teardown: end => void ends.push(end) }, { ...plan, folder, onProgress: print })
} finally {
  for (const end of ends.toReversed()) await end()
  rmSync(folder, { recursive: true })
}
print(result)
const { accepted, certificates, renewals, refused, events } = result
console.log(`${renewals} renewals, ${certificates} certificates used`)
for (const [kind, count] of Object.entries(accepted)) console.log(`accepted, ${kind}: ${count}`)
for (const [event, count] of Object.entries(events).sort()) console.log(`event ${event}: ${count}`)
console.log(`refused: ${refused.length}`)
for (const text of refused.slice(0, 20)) console.log(`  ${text}`)
const quiet = ['token.issued', 'refresh.rotated', 'refresh.rebound']
const alarms = Object.keys(events).filter(event => !quiet.includes(event))
console.log(`other events: ${alarms.join(', ') || 'none'}`)
if (refused.length > 0 || alarms.length > 0) process.exitCode = 1

/** Prints one line of progress. */
function print({ accepted, renewals, refused, events }: RenewalResult): void {
  const seconds = Math.round((performance.now() - started) / 1000)
  const all = Object.values(accepted).reduce((sum, count) => sum + count, 0)
  const rebound = events['refresh.rebound'] ?? 0
  console.log(`${seconds} s: ${all} accepted, ${refused.length} refused, ${renewals} renewals, ${rebound} rebound`)
}
