// The first part of the report: accepted thefts that must be rejected, with their remedies; and, folded, what the
// levels do not promise and what could not be tried.

import { type Markup, markup } from '../../text/markup.ts'
import type { Outcome } from '../judge.ts'
import { describeSetting, type Run } from '../matrix.ts'
import { listFindings, remedyOf } from './report.ts'

/** Renders the failures with the server's response and the remedy; nothing without failures. */
export function writeFailures(runs: readonly Run[]): Markup {
  const failures = listFindings(runs, 'failed')
  if (failures.length === 0) return markup``
  return markup`<h2>What the server must reject</h2>
<ul class="failures">
${failures.map(
  ({ finding, run }) =>
    markup`<li><a href="#${finding.scenario.id}">${finding.scenario.id}</a>, ${describeSetting(run)}<br/>${finding.scenario.sentence}<br/>${finding.evidence}<br/><b>Remedy:</b> ${remedyOf(finding)}.</li>`,
)}
</ul>`
}

/** Renders the scenarios of an outcome grouped by reason, folded; nothing when there is none. */
export function writeGroups(heading: string, runs: readonly Run[], outcome: Outcome): Markup {
  const groups = Map.groupBy(listFindings(runs, outcome), ({ finding }) => finding.evidence)
  if (groups.size === 0) return markup``
  const rows = [...groups].map(([reason, found]) => {
    const ids = [...new Set(found.map(({ finding }) => finding.scenario.id))]
    const links = ids.map((id, index) => markup`${index === 0 ? '' : ', '}<a href="#${id}">${id}</a>`)
    return markup`<tr><th scope="row">${reason}</th><td>${links}</td></tr>`
  })
  return markup`<details class="part">
<summary><h2>${heading}</h2></summary>
<table class="groups">
<tbody>
${rows}
</tbody></table>
</details>`
}
