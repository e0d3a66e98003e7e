// The report to hand to an auditor: one HTML page that needs nothing else. No scripts, no links to anywhere, and all that
// came from the server is escaped; the policy at its head says so to the browser too.

import { type Markup, markup } from '../../text/markup.ts'
import type { Attempt } from '../attempt.ts'
import type { Finding, Outcome } from '../judge.ts'
import { describeSetting, type Run } from '../matrix.ts'
import type { Scenario } from '../scenario.ts'
import { writeFailures, writeGaps } from './html-findings.ts'
import { style } from './html-style.ts'
import { countConnections, type LabReport, outcomes, sumUp, tellSeconds, tellSums } from './report.ts'

/** Writes the report as an HTML page. It is well-formed XML too, so that any tool can read it. */
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
${writeFacts(report)}
${writeFailures(runs)}
<h2>At a glance</h2>
${explanation}
${writeOverview(scenarios, runs)}
${writeGaps(runs)}
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
    return markup`<p class="verdict failed">The server accepted what it should refuse: ${tellSums(sums)}.</p>`
  if (sums.passed === 0) return markup`<p class="verdict">Nothing could be tried: ${tellSums(sums)}.</p>`
  return markup`<p class="verdict passed">All that was tried and should be refused was refused: ${tellSums(sums)}.</p>`
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
    ['Cost', `${countConnections(report.runs)} connections, ${tellSeconds(report.runs)} seconds`],
  ]
  return markup`<dl>
${facts.map(([term, fact]) => markup`<dt>${term}</dt><dd>${fact}</dd>`)}
</dl>`
}

function unique(runs: readonly Run[], read: (run: Run) => string): string {
  return [...new Set(runs.map(read))].join(', ')
}

const explanation = markup`<p>A refusal counts only beside a control: the same token, accepted where it belongs.
<b>Not applicable</b>: the theft succeeded, and the level does not promise to stop it.
<b>Not tried</b>: this server, these identities or this machine did not allow it.</p>`

function writeOverview(scenarios: readonly Scenario[], runs: readonly Run[]): Markup {
  const rows = scenarios.map(
    scenario => markup`<tr${hasFailed(scenario, runs) ? markup` class="bad"` : ''}><th scope="row"><a href="#${scenario.id}">${scenario.id}</a></th>
${runs.map(run => markup`<td>${writeOutcome(find(scenario, run)?.outcome)}</td>`)}</tr>`,
  )
  return markup`<div class="wide"><table>
<thead><tr><th></th>${runs.map(run => markup`<th scope="col">${writeSetting(run)}</th>`)}</tr></thead>
<tbody>
${rows}
</tbody></table></div>`
}

function hasFailed(scenario: Scenario, runs: readonly Run[]): boolean {
  return runs.some(run => find(scenario, run)?.outcome === 'failed')
}

function writeSetting(run: Run): Markup {
  const lines = describeSetting(run).split(', ')
  return markup`${lines.map(line => markup`<span class="line">${line}</span>`)}`
}

function writeScenario(scenario: Scenario, runs: readonly Run[]): Markup {
  const { id, sentence, stolen, thief, control, expected, demandedBy, stoppedAt } = scenario
  return markup`<section id="${id}">
<h3>${id}</h3>
<p>${sentence}</p>
<dl>
<dt>Stolen</dt><dd>${stolen}</dd>
<dt>The thief has besides</dt><dd>${thief}</dd>
<dt>Control</dt><dd>${control}</dd>
<dt>Expected</dt><dd>${expected}</dd>
<dt>Demanded by</dt><dd>${demandedBy.join('; ')}</dd>
<dt>Promised at level</dt><dd>${stoppedAt.join(', ')}</dd>
</dl>
${runs.map(run => writeFinding(find(scenario, run), run))}
</section>`
}

function writeFinding(finding: Finding | undefined, run: Run): Markup {
  if (finding === undefined) return markup``
  const { outcome, evidence, controls, thefts } = finding
  return markup`<details${outcome === 'failed' ? markup` open="open"` : ''}>
<summary>${writeOutcome(outcome)} ${describeSetting(run)}: ${evidence}</summary>
<ul>
${controls.map(control => writeAttempt('control', control))}
${thefts.map(theft => writeAttempt('theft', theft))}
</ul>
</details>`
}

function writeAttempt(kind: string, { what, result, seen }: Attempt): Markup {
  return markup`<li>${kind}: ${what}: ${result}, ${seen}</li>`
}

function writeOutcome(outcome: Outcome | undefined): Markup {
  if (outcome === undefined || !outcomes.includes(outcome)) return markup`<span>–</span>`
  return markup`<span class="${outcome.replace(' ', '-')}">${outcome}</span>`
}

function find(scenario: Scenario, run: Run): Finding | undefined {
  return run.findings.find(finding => finding.scenario === scenario)
}
