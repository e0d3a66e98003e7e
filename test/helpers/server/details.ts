// Tables with a row for each detail of a reason. The type requires every row, so that a new detail without a test does not
// compile. Each row is a real request to a real server, whose event must have the detail and exactly these facts.
import type { TAP } from 'tap'
import { type DetailOf, describeForClient, type RefusalFacts } from '../../../src/core/details.ts'
import { type Reason, reasons } from '../../../src/core/errors.ts'
import type { Answer, TestServer } from '../../../src/testing/server.ts'
import { until } from '../until.ts'

/** Expected facts: an exact text or number, a pattern, or a type. */
export type FactPatterns = { readonly [name in keyof RefusalFacts]?: unknown }

export interface Provocation {
  /** Sends the request that is refused. */
  readonly send: () => Promise<Answer | undefined>
  /** Default 401. */
  readonly status?: number
  readonly facts?: FactPatterns
}

/** One or several ways to cause each detail of a reason. */
export type Provocations<R extends Reason> = { readonly [D in DetailOf<R>]: Provocation | readonly Provocation[] }

type Asserts = Pick<TAP, 'match' | 'same' | 'equal'>

/** Causes each detail of a reason, and expects the response, one event with the detail, and exactly the facts of the row. */
export async function provokeEach<R extends Reason>(
  t: Asserts,
  server: TestServer,
  reason: R,
  rows: Provocations<R>,
): Promise<void> {
  for (const [detail, row] of Object.entries(rows) as [DetailOf<R>, Provocation | readonly Provocation[]][])
    for (const one of [row].flat() as readonly Provocation[]) await provoke(t, server, reason, detail, one)
}

/** Causes one detail. */
export async function provoke<R extends Reason>(
  t: Asserts,
  server: TestServer,
  reason: R,
  detail: DetailOf<R>,
  { send, status = 401, facts = {} }: Provocation,
): Promise<void> {
  const name = `${reason} ${detail}`
  const before = server.events.length
  const answer = await send()
  const isRefused = (event: { outcome: string }) => event.outcome === 'refused'
  await until(() => server.events.slice(before).some(isRefused))
  const [event, ...others] = server.events.slice(before).filter(isRefused)
  if (answer !== undefined && status !== 200) {
    const error_description = describeForClient(reason, detail, event?.facts ?? {}) ?? reasons[reason]
    t.match(answer, { status, body: { reason, error_description } }, name)
  }
  t.match(event, { reason, detail, status }, name)
  t.same(Object.keys(event.facts ?? {}).sort(), Object.keys(facts).sort(), `${name}: the names of its facts`)
  t.match(event.facts ?? {}, facts, `${name}: its facts`)
  t.equal(others.length, 0, `${name}: one event`)
}
