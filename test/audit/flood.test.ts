// A flood of refusals: twenty of a kind are written individually in a second, the others counted. The counts include every
// refusal, whatever the client makes up. DS13, DS16.
import t from 'tap'
import type { SecurityEvent } from '../../src/audit/event.ts'
import { createFloodGate, mostKinds, written, writtenInAll } from '../../src/audit/flood.ts'

const refusal = (changes: Partial<SecurityEvent> = {}): SecurityEvent => ({
  time: new Date(1_795_500_000_000 + clock++).toISOString(),
  event: 'token.refused',
  outcome: 'refused',
  reason: 'certificate_mismatch',
  status: 401,
  client_id: 'alice',
  jti: 'one',
  'x5t#S256': 'certificate',
  peer: '192.0.2.1',
  peer_port: clock,
  request_id: `req-${clock}`,
  ...changes,
})
let clock = 0

/** Returns the lines that a gate writes for these events, and after them. */
function pass(events: readonly SecurityEvent[]) {
  const lines: SecurityEvent[] = []
  const gate = createFloodGate(event => void lines.push(event))
  for (const event of events) gate.record(event)
  const before = lines.length
  gate.flush()
  return { lines, before, counted: lines.slice(before), sum: lines.reduce((sum, { count = 1 }) => sum + count, 0) }
}
const flood = (number: number, change: (index: number) => Partial<SecurityEvent> = () => ({})) =>
  Array.from({ length: number }, (_, index) => refusal(change(index)))

t.test('writes twenty equal refusals individually, and the others as one line with count and time span', async t => {
  t.match(pass(flood(written)), { before: written, counted: [] }, 'control')
  const events = flood(1000)
  const { lines, before, counted } = pass(events)
  t.equal(before, written)
  t.same(lines.slice(0, before), events.slice(0, written), 'unchanged')
  t.same(counted, [{ ...events.at(-1), count: 980, since: events[written]?.time }])
  const [one] = [flood(written + 1)]
  t.same(pass(one).counted, [one.at(-1)], 'a single one needs no count')
})

t.test('each second starts anew', async t => {
  const lines: SecurityEvent[] = []
  const gate = createFloodGate(event => void lines.push(event))
  for (let second = 0; second < 3; second++) {
    for (const event of flood(50)) gate.record(event)
    gate.flush()
  }
  t.same(
    lines.map(({ count }) => count).filter(count => count !== undefined),
    [30, 30, 30],
  )
  t.equal(lines.length, 63)
  gate.flush()
  t.equal(lines.length, 63, 'nothing is written twice')
})

t.test('ignores invented values when it compares refusals, and distinguishes real differences', async t => {
  const random = () => Math.random().toString(36)
  const same: Record<string, (index: number) => Partial<SecurityEvent>> = {
    'claimed clients': () => ({
      event: 'client.refused',
      reason: 'unknown_client',
      jti: undefined,
      client_id: random(),
    }),
    'ports and requests': () => ({ peer_port: Math.ceil(Math.random() * 65_535), request_id: random() }),
    'paths and methods': () => ({ path: `/${random()}`, method: random() }),
    'addresses of an IPv6 network': index => ({ peer: `2001:db8:0:1::${index.toString(16)}` }),
    'other spellings of it': index => ({ peer: index % 2 === 0 ? '2001:db8::1:0:0:7' : `2001:db8:0:0:1:${index}:0:7` }),
  }
  for (const [what, change] of Object.entries(same)) {
    const { before, counted, sum } = pass(flood(200, change))
    t.match({ before, sum }, { before: written, sum: 200 }, what)
    t.match(counted, [{ count: 180 }], what)
  }
  const different: Record<string, (index: number) => Partial<SecurityEvent>> = {
    tokens: index => ({ jti: String(index % 2) }),
    grants: index => ({ jti: undefined, grant: String(index % 2) }),
    reasons: index => ({ reason: index % 2 === 0 ? 'expired' : 'revoked' }),
    certificates: index => ({ 'x5t#S256': String(index % 2) }),
    'IPv4 addresses': index => ({ peer: `192.0.2.${index % 2}` }),
    'IPv4-mapped IPv6 addresses': index => ({ peer: `::ffff:192.0.2.${index % 2}` }),
    'IPv6 networks': index => ({ peer: `2001:db8:0:${index % 2}::1` }),
    'short IPv6 networks': index => ({ peer: index % 2 === 0 ? '::1' : '2001:db8::' }),
  }
  for (const [what, change] of Object.entries(different))
    t.match(pass(flood(200, change)).counted, [{ count: 80 }, { count: 80 }], what)
})

t.test('writes successes and conclusions of the server individually', async t => {
  const outcomes = ['success', 'unknown'] as const
  for (const outcome of outcomes) t.match(pass(flood(500, () => ({ outcome }))), { before: 500, counted: [] })
})

t.test('writes a thousand refusals of many kinds a second, then counts each kind, then each reason', async t => {
  const kinds = (number: number) =>
    flood(number, index => ({ peer: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}` }))
  const some = pass(kinds(mostKinds))
  t.match(some, { before: writtenInAll, sum: mostKinds })
  t.same(
    some.lines.map(({ count }) => count).filter(count => count !== undefined),
    [],
    'each of them complete',
  )

  const crowd = pass([
    ...kinds(100_000),
    ...kinds(100_000),
    ...flood(1000, () => ({ reason: 'expired', peer: '10.1.200.1' })),
  ])
  t.equal(crowd.sum, 201_000, 'nothing is lost')
  t.ok(crowd.lines.length < writtenInAll + mostKinds + 10, `in ${crowd.lines.length} lines`)
  const rest = crowd.counted.filter(({ peer }) => peer === undefined)
  t.match(rest, [{ reason: 'certificate_mismatch' }, { reason: 'expired', count: 1000 }])
  for (const line of rest)
    t.same(
      Object.keys(line).sort(),
      ['count', 'detail', 'event', 'outcome', 'reason', 'since', 'status', 'time'],
      'not individually',
    )
})

t.test('accepts no event while a count cannot be written, and loses none', async t => {
  const lines: SecurityEvent[] = []
  let full = false
  const gate = createFloodGate(event => {
    if (full) throw new Error('full')
    lines.push(event)
  })
  for (const reason of ['expired', 'revoked']) for (const event of flood(50, () => ({ reason }))) gate.record(event)
  full = true
  t.throws(() => gate.flush(), 'full')
  t.throws(() => gate.record(refusal()), 'full')
  t.throws(() => gate.record(refusal({ outcome: 'success' })), 'full')
  full = false
  gate.record(refusal({ event: 'token.issued', outcome: 'success' }))
  t.match(lines.slice(2 * written), [
    { count: 30, reason: 'expired' },
    { count: 30, reason: 'revoked' },
    { event: 'token.issued' },
  ])
})
