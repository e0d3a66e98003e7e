// The formats of the lab's report: all have the same content and correct sums, and escape the responses of a hostile server.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { attempt } from '../../src/lab/attempt.ts'
import { scenarios as catalog } from '../../src/lab/catalog.ts'
import { type Finding, judge, type Outcome } from '../../src/lab/judge.ts'
import { writeHtml } from '../../src/lab/report/html.ts'
import { writeJson } from '../../src/lab/report/json.ts'
import { writeJunit } from '../../src/lab/report/junit.ts'
import { describeCast, type LabReport, remedyOf } from '../../src/lab/report/report.ts'
import { writeTable } from '../../src/lab/report/table.ts'
import type { Scenario } from '../../src/lab/scenario.ts'
import { makeDemoPki } from '../../src/pki/demo.ts'
import { castOf } from '../helpers/lab/lab.ts'

const outcomes: readonly Outcome[] = ['passed', 'failed', 'accepted, not promised', 'not tried']
const evil = `</td></testcase><script>alert("'&")</script> ]]> \u001b[2J\u202e\ud800\uffff\nnext`

const scenarios = outcomes.map(
  (outcome): Scenario => ({
    id: outcome.replace(/\W+/g, '-'),
    sentence: `The outcome is: ${outcome} <b>.`,
    stolen: 'the token',
    thief: 'nothing & nobody',
    control: 'the token where it is valid',
    expected: 'refused',
    demandedBy: ['RFC 8705 §3', 'level connection'],
    stoppedAt: ['connection'],
    remedy: `Reject it: ${outcome}`,
    run: async () => ({ controls: [], thefts: [] }),
  }),
)

function find(scenario: Scenario, outcome: Outcome): Finding {
  const thefts = [{ what: `an attempt ${evil}`, result: 'refused', seen: '401' }] as const
  return { scenario, outcome, evidence: `evidence of ${outcome} ${evil}`, controls: [], thefts }
}

const run = {
  findings: scenarios.map((scenario, at) => find(scenario, outcomes[at] as Outcome)),
  connections: 7,
  duration: 1234,
  level: 'connection',
  tls: 'TLSv1.3',
} as const

const report: LabReport = {
  server: 'https://server.example/',
  resource: 'https://server.example/api?a=1&b=2',
  profile: 'tlsbound',
  date: new Date('2026-11-24T10:00:00Z'),
  identities: describeCast(castOf(makeDemoPki())),
  scenarios,
  runs: [
    { ...run, http: 'http/1.1' },
    { ...run, http: 'h2' },
  ],
}

/** Returns the value of each Python expression in which `root` is the parsed XML document. */
function readXml(xml: string, expressions: Readonly<Record<string, string>>) {
  const pairs = Object.entries(expressions).map(([name, expression]) => `"${name}": ${expression}`)
  const program = `import sys, json, xml.etree.ElementTree as E
root = E.fromstring(sys.stdin.buffer.read())
print(json.dumps({${pairs.join(', ')}}))`
  const { stdout, stderr, error } = spawnSync('python3', ['-c', program], { input: xml, encoding: 'utf8' })
  if (error) throw new Error(`requires python3 (Debian package python3): ${error.message}`)
  if (stderr !== '') throw new Error(stderr)
  return JSON.parse(stdout)
}

t.test('prints one matrix, followed by failures with remedies, reasons and sums', async t => {
  const lines = writeTable(report).split('\n')
  t.same(lines.slice(2, 9), [
    '                       connection  connection',
    '                       TLS 1.3     TLS 1.3',
    '                       HTTP/1.1    HTTP/2',
    'passed                 passed      passed',
    'failed                 FAILED      FAILED',
    'accepted-not-promised  accepted    accepted',
    'not-tried              –           –',
  ])
  const below = (heading: string) => lines.slice(lines.indexOf(heading) + 1, lines.indexOf('', lines.indexOf(heading)))
  t.match(below('What the server must reject:'), [
    /^ {2}failed, level connection, TLS 1.3, HTTP\/1.1: evidence of failed/,
    /^ {4}Remedy: Reject it: failed\.$/,
    /^ {2}failed, level connection, TLS 1.3, HTTP\/2: /,
    /^ {4}Remedy: /,
  ])
  const accepted = below('Accepted, and the level does not promise to stop it:')
  t.match(accepted, [/^ {2}accepted-not-promised: evidence of accepted, not promised/])
  t.match(below('Not tried:'), [/^ {2}not-tried: evidence of not tried/])
  t.equal(accepted.length, 1, 'each reason is printed once')
  t.equal(lines.at(-2), '2 passed, 2 failed, 2 accepted (not promised), 2 not tried; 14 connections, 2.5 s')
  const passing = { ...report, runs: report.runs.map(one => ({ ...one, findings: one.findings.slice(0, 1) })) }
  t.notMatch(writeTable(passing), /must reject|Accepted|Not tried/)
  const painted = writeTable(report, (text, outcome) => (outcome === undefined ? text : `<${outcome}>${text}</>`))
  t.match(painted, '<failed>FAILED</>      <failed>FAILED</>', 'styles do not change the width')
})

t.test('derives the remedy from the response of the server', async t => {
  const failed = scenarios[1] as Scenario
  t.equal(remedyOf(find(failed, 'failed')), 'Reject it: failed')
  const thefts = [{ what: 'x', result: 'fault', seen: '500' }] as const
  t.match(remedyOf({ ...find(failed, 'failed'), thefts }), /error in the log/)
  for (const { id, remedy } of catalog) t.match(remedy, /^[A-Z].{20,}[^.]$/s, id)
})

t.test('escapes control characters and line breaks in responses of a server', async t => {
  const table = writeTable(report)
  t.notMatch(table.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, 'no control characters except line ends')
  t.notMatch(table, /^next/m)
  t.match(table, '\\u{1b}[2J', 'control characters are escaped')
})

t.test('writes all data as JSON, with scenarios once and findings by id', async t => {
  const read = JSON.parse(writeJson(report))
  t.match(read, {
    server: report.server,
    profile: 'tlsbound',
    date: '2026-11-24T10:00:00.000Z',
    sums: { passed: 2, failed: 2, accepted_not_promised: 2, not_tried: 2 },
    connections: 14,
    identities: [{ name: 'alice', subject: 'CN=alice', client_id: 'alice' }, {}, {}, {}],
    scenarios: [{ id: 'passed', demanded_by: ['RFC 8705 §3', 'level connection'], stopped_at: ['connection'] }],
    runs: [{ level: 'connection', tls: 'TLSv1.3', http: 'http/1.1', sums: { failed: 1 } }, { http: 'h2' }],
  })
  t.match(read.runs[0].findings[1], {
    id: 'failed',
    outcome: 'failed',
    thefts: [{ seen: '401' }],
    remedy: 'Reject it: failed',
  })
  t.equal(read.runs[0].findings[1].evidence, `evidence of failed ${evil}`)
})

t.test('writes valid JUnit XML, with a suite for each run and a case for each scenario', async t => {
  const { sums, suites, cases, failure } = readXml(writeJunit(report), {
    sums: 'root.attrib',
    suites: '[suite.get("name") for suite in root]',
    cases: '[[case.get("name"), [verdict.tag for verdict in case]] for case in root[0].iter("testcase")]',
    failure: 'root.find(".//failure").get("message")',
  })
  t.match(sums, { tests: '8', failures: '2', skipped: '4', errors: '0' })
  t.same(suites, ['level connection, TLS 1.3, HTTP/1.1', 'level connection, TLS 1.3, HTTP/2'])
  t.same(cases, [
    ['passed', ['system-out']],
    ['failed', ['failure']],
    ['accepted-not-promised', ['skipped']],
    ['not-tried', ['skipped']],
  ])
  t.match(failure, `</testcase><script>alert("'&")</script> ]]>`)
})

t.test('writes a well-formed, complete HTML page that loads nothing', async t => {
  const html = writeHtml(report)
  const { tags, addresses, listeners, text } = readXml(html.replace('<!DOCTYPE html>', ''), {
    tags: 'sorted({e.tag for e in root.iter()})',
    addresses: '[v for e in root.iter() for k, v in e.attrib.items() if k in ["href", "src", "action"]]',
    listeners: '[k for e in root.iter() for k in e.attrib if k.startswith("on")]',
    text: '" ".join(root.itertext())',
  })
  for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'base', 'form']) t.notOk(tags.includes(tag), tag)
  t.ok(addresses.length > 0 && addresses.every((address: string) => address.startsWith('#')), addresses)
  t.same(listeners, [])
  t.notMatch(html, /url\(|@import/)
  t.match(html, `content="default-src 'none'; style-src 'unsafe-inline'"`)
  for (const word of [report.server, report.resource, 'CN=stranger', '2026-11-24 10:00 UTC', '14 connections'])
    t.ok(text.includes(word), word)
  for (const { sentence, control } of scenarios) t.ok(text.includes(sentence) && text.includes(control), sentence)
  t.match(text, 'accepted what it must reject: 2 passed, 2 failed')
  t.match(
    text,
    /What the server must reject\s+failed\s+, level connection, TLS 1.3, HTTP\/1.1\s+The outcome is: failed[\s\S]*?Remedy:\s+Reject it: failed/,
  )
  t.match(text, /Not tried\s+evidence of not tried/)
  const good = { ...report, runs: report.runs.map(one => ({ ...one, findings: one.findings.slice(0, 1) })) }
  t.ok(html.indexOf('class="failures"') < html.indexOf('<dl>'), 'failures are first')
  t.ok(html.indexOf('</ul>') < html.indexOf('<details'), 'failures are not folded')
  t.match(html, /<details class="scenario" id="failed" open="open">/)
  t.match(html, /<details class="scenario" id="passed">/, 'passed scenarios are folded')
  t.match(text, /Accepted, but the level does not promise to stop it\s+evidence of accepted, not promised/)
  t.notMatch(writeHtml(good), /<h2>What /, 'no heading without failures')
  t.match(writeHtml(good), /<details class="part" open="open">\s*<summary><h2>At a glance/)
})

t.test('copies only short words of a response into a report', async t => {
  const answer = (body: object) => attempt('x', async () => ({ status: 401, headers: {}, text: '', body }))
  t.equal((await answer({ error: 'invalid_token', reason: 'expired' })).seen, '401 expired')
  const token = `ey${'J'.repeat(60)}.${'a'.repeat(200)}.b`
  for (const echo of [token, { nested: token }, ['x'], '\u001b[2J', 'two words', ''])
    t.equal((await answer({ error: echo, reason: echo })).seen, '401')
})

t.test('counts a refusal only if its control was accepted', async t => {
  const [scenario] = scenarios as [Scenario]
  const accepted = { what: 'a', result: 'accepted', seen: '200' } as const
  const refused = { what: 'b', result: 'refused', seen: '401' } as const
  const fault = { what: 'c', result: 'fault', seen: '500' } as const
  const outcome = (
    ...[controls, thefts, level]: [(typeof accepted | typeof refused)[], Finding['thefts'], 'certificate'?]
  ) => judge(scenario, { controls, thefts }, level ?? 'connection').outcome
  t.equal(outcome([accepted], [refused]), 'passed')
  t.equal(outcome([accepted, refused], [refused]), 'not tried')
  t.equal(outcome([accepted], [refused, accepted]), 'failed')
  t.equal(outcome([accepted], [accepted], 'certificate'), 'accepted, not promised')
  t.equal(outcome([accepted], [refused, fault], 'certificate'), 'failed')
})
