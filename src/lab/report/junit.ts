// The report as JUnit XML for build servers: one suite per run. What was not tried or is not promised counts as
// skipped.

import { type Markup, markup } from '../../text/markup.ts'
import type { Finding } from '../judge.ts'
import { describeSetting, type Run } from '../matrix.ts'
import { describeSeconds, type LabReport, remedyOf, sumUp } from './report.ts'

/** Renders the report as JUnit XML. */
export function writeJunit({ server, resource, profile, date, runs }: LabReport): string {
  const { tests, failures, skipped } = count(runs)
  const document = markup`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="tlsbound lab" tests="${tests}" failures="${failures}" errors="0" skipped="${skipped}" time="${describeSeconds(runs)}">
${runs.map(run => writeSuite(run, { server, resource, profile }, date))}
</testsuites>
`
  return document.markup
}

function writeSuite(run: Run, where: Readonly<Record<string, string>>, date: Date): Markup {
  const { tests, failures, skipped } = count([run])
  const started = date.toISOString().slice(0, 19) // the schema forbids a zone
  return markup`  <testsuite name="${describeSetting(run)}" tests="${tests}" failures="${failures}" errors="0" skipped="${skipped}" time="${describeSeconds([run])}" timestamp="${started}">
    <properties>
${Object.entries({ ...where, connections: String(run.connections) }).map(writeProperty)}
    </properties>
${run.findings.map(finding => writeCase(finding, run))}
  </testsuite>`
}

function writeProperty([name, value]: [string, string]): Markup {
  return markup`      <property name="${name}" value="${value}"/>`
}

function writeCase(finding: Finding, { level }: Run): Markup {
  const { scenario, outcome, evidence } = finding
  const verdict = {
    passed: markup`<system-out>${evidence}</system-out>`,
    failed: markup`<failure message="${evidence}" type="accepted">${scenario.sentence} Expected: ${scenario.expected}. Remedy: ${remedyOf(finding)}.</failure>`,
    'accepted, not promised': markup`<skipped message="${`accepted, not promised: ${evidence}`}"/>`,
    'not tried': markup`<skipped message="${`not tried: ${evidence}`}"/>`,
  }[outcome]
  return markup`    <testcase classname="${`tlsbound.lab.${level}`}" name="${scenario.id}">${verdict}</testcase>`
}

function count(runs: readonly Run[]): { tests: number; failures: number; skipped: number } {
  const { passed, failed, ...others } = sumUp(runs)
  const skipped = others['accepted, not promised'] + others['not tried']
  return { tests: passed + failed + skipped, failures: failed, skipped }
}
