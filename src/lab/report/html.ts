// The HTML report for auditors: one self-contained page without scripts and links. All data from the server is escaped,
// and a Content-Security-Policy forbids everything else.

import { type Markup, markup } from '../../text/markup.ts'
import type { Attempt } from '../attempt.ts'
import type { Finding, Outcome } from '../judge.ts'
import { describeSetting, type Run } from '../matrix.ts'
import type { Scenario } from '../scenario.ts'
import { writeFailures, writeGroups } from './html-findings.ts'
import { style } from './html-style.ts'
import {
  countConnections,
  describeSeconds,
  describeSums,
  findOutcome,
  type LabReport,
  outcomes,
  sumUp,
} from './report.ts'

/** Renders the report as an HTML page that is also well-formed XML. */
export function writeHtml(report: LabReport): string {
  const { server, scenarios, runs } = report
  const page = markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>tlsbound lab: ${server}</title>
<style>${style}</style>
</head>
<body>
<h1>Stolen tokens against ${server}</h1>
${writeVerdict(runs)}
${writeFailures(runs)}
${writeFacts(report)}
<details class="part"${open(sumUp(runs).failed === 0)}>
<summary><h2>At a glance</h2></summary>
${explanation}
${writeOverview(scenarios, runs)}
</details>
${writeGroups('Accepted, but the level does not promise to stop it', runs, 'accepted, not promised')}
${writeGroups('Not tried', runs, 'not tried')}
<h2>Scenario by scenario</h2>
${scenarios.map(scenario => writeScenario(scenario, runs))}
</body>
</html>
`
  return page.markup
}

function writeVerdict(runs: readonly Run[]): Markup {
  const sums = sumUp(runs)
  if (sums.failed > 0)
    return markup`<p class="verdict failed">The server accepted what it must reject: ${describeSums(sums)}.</p>`
  if (sums.passed === 0) return markup`<p class="verdict">No scenario could run: ${describeSums(sums)}.</p>`
  return markup`<p class="verdict passed">The server rejected every tried theft that it must reject: ${describeSums(sums)}.</p>`
}

function writeFacts(report: LabReport): Markup {
  const facts: [string, string][] = [
    ['Date', `${report.date.toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ['Tokens used at', report.resource],
    ['Profile', report.profile],
    ['Levels', unique(report.runs, ({ level }) => level)],
    ['TLS', unique(report.runs, ({ tls }) => tls.slice('TLSv'.length))],
    ['HTTP', unique(report.runs, ({ http }) => (http === 'h2' ? '2' : '1.1'))],
    ...report.identities.map(({ name, subject, clientId }): [string, string] => [
      `As ${name}`,
      `certificate ${subject}, client ${clientId}`,
    ]),
    ['Cost', `${countConnections(report.runs)} connections, ${describeSeconds(report.runs)} seconds`],
  ]
  return markup`<dl>
${facts.map(([term, fact]) => markup`<dt>${term}</dt><dd>${fact}</dd>`)}
</dl>`
}

function unique(runs: readonly Run[], read: (run: Run) => string): string {
  return [...new Set(runs.map(read))].join(', ')
}

const explanation = markup`<p>A refusal counts only if its control was accepted: the same token, where it is valid.
<b>Accepted, not promised</b>: the theft succeeded, and the level does not promise to stop it.
<b>Not tried</b>: this server, these identities or this machine did not allow it.</p>`

function writeOverview(scenarios: readonly Scenario[], runs: readonly Run[]): Markup {
  const rows = scenarios.map(
    scenario => markup`<tr${hasFailed(scenario, runs) ? markup` class="bad"` : ''}><th scope="row"><a href="#${scenario.id}">${scenario.id}</a></th>
${runs.map(run => markup`<td>${writeOutcome(findOutcome(scenario, run))}</td>`)}</tr>`,
  )
  return markup`<div class="wide"><table>
<thead><tr><th></th>${runs.map(run => markup`<th scope="col">${writeSetting(run)}</th>`)}</tr></thead>
<tbody>
${rows}
</tbody></table></div>`
}

function hasFailed(scenario: Scenario, runs: readonly Run[]): boolean {
  return runs.some(run => findOutcome(scenario, run) === 'failed')
}

function writeSetting(run: Run): Markup {
  const lines = describeSetting(run).split(', ')
  return markup`${lines.map(line => markup`<span class="line">${line}</span>`)}`
}

function writeScenario(scenario: Scenario, runs: readonly Run[]): Markup {
  const { id, sentence, stolen, thief, control, expected, demandedBy, stoppedAt, remedy } = scenario
  const found = [...new Set(runs.map(run => findOutcome(scenario, run)))].filter(outcome => outcome !== undefined)
  return markup`<details class="scenario" id="${id}"${open(found.includes('failed'))}>
<summary><h3>${id}</h3> ${found.map((outcome, index) => markup`${index === 0 ? '' : ', '}${writeOutcome(outcome)}`)}</summary>
<p>${sentence}</p>
<dl>
<dt>Stolen</dt><dd>${stolen}</dd>
<dt>The thief also has</dt><dd>${thief}</dd>
<dt>Control</dt><dd>${control}</dd>
<dt>Expected</dt><dd>${expected}</dd>
<dt>Required by</dt><dd>${demandedBy.join('; ')}</dd>
<dt>Promised at level</dt><dd>${stoppedAt.join(', ')}</dd>
<dt>Remedy</dt><dd>${remedy}</dd>
</dl>
${runs.map(run => writeFinding(find(scenario, run), run))}
</details>`
}

function writeFinding(finding: Finding | undefined, run: Run): Markup {
  if (finding === undefined) return markup``
  const { outcome, evidence, controls, thefts } = finding
  return markup`<details${open(outcome === 'failed')}>
<summary>${writeOutcome(outcome)} ${describeSetting(run)}: ${evidence}</summary>
<ul>
${controls.map(control => writeAttempt('control', control))}
${thefts.map(theft => writeAttempt('theft', theft))}
</ul>
</details>`
}

function open(isOpen: boolean): Markup {
  return isOpen ? markup` open="open"` : markup``
}

function writeAttempt(kind: string, { what, result, seen }: Attempt): Markup {
  return markup`<li>${kind}: ${what}: ${result}, ${seen}</li>`
}

function writeOutcome(outcome: Outcome | undefined): Markup {
  if (outcome === undefined || !outcomes.includes(outcome)) return markup`<span>–</span>`
  return markup`<span class="${outcome.replace(/\W+/g, '-')}">${outcome}</span>`
}

function find(scenario: Scenario, run: Run): Finding | undefined {
  return run.findings.find(finding => finding.scenario === scenario)
}
