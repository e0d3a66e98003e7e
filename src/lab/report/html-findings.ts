// What an auditor looks for first: what was accepted that should not have been, and what nobody can say anything about.

import { type Markup, markup } from '../../text/markup.ts'
import { describeSetting, type Run } from '../matrix.ts'
import { listFindings } from './report.ts'

/** What should have been refused, each with what the server did; nothing at all when there is none. */
export function writeFailures(runs: readonly Run[]): Markup {
  const failures = listFindings(runs, 'failed')
  if (failures.length === 0) return markup``
  return markup`<h2>What should have been refused</h2>
<ul class="failures">
${failures.map(
  ({ finding: { scenario, evidence }, run }) =>
    markup`<li><a href="#${scenario.id}">${scenario.id}</a>, ${describeSetting(run)}<br/>${scenario.sentence}<br/>${evidence}</li>`,
)}
</ul>`
}

/** What was not tried, by its reason, so that it can be made up for. */
export function writeGaps(runs: readonly Run[]): Markup {
  const gaps = Map.groupBy(listFindings(runs, 'not tried'), ({ finding }) => finding.evidence)
  if (gaps.size === 0) return markup``
  const rows = [...gaps].map(([reason, found]) => {
    const ids = [...new Set(found.map(({ finding }) => finding.scenario.id))]
    return markup`<tr><th scope="row">${reason}</th><td>${ids.join(', ')}</td></tr>`
  })
  return markup`<h2>What was not tried, and why</h2>
<table class="gaps">
<tbody>
${rows}
</tbody></table>`
}
