// The scenarios of the lab as text: a list, or one in full.
import { describeScenario } from '../../lab/report/json.ts'
import type { Scenario } from '../../lab/scenario.ts'

/** Lists scenarios: one line each, or complete as JSON. */
export function list(scenarios: readonly Scenario[], json: boolean): string {
  if (json) return `${JSON.stringify(scenarios.map(describeScenario), null, 2)}\n`
  const width = Math.max(...scenarios.map(({ id }) => id.length))
  return scenarios.map(({ id, sentence }) => `${id.padEnd(width)}  ${sentence}\n`).join('')
}

export function explain({
  id,
  sentence,
  stolen,
  thief,
  control,
  expected,
  demandedBy,
  stoppedAt,
  remedy,
}: Scenario): string {
  return `${id}

  ${sentence}

  stolen                ${stolen}
  the thief also has    ${thief}
  control               ${control}
  expected              ${expected}
  required by           ${demandedBy.join('; ')}
  promised at level     ${stoppedAt.join(', ')}
  remedy                ${remedy}
`
}
