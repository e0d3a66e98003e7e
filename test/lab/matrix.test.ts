// The whole lab against tlsbound: every level, TLS 1.3 and 1.2, HTTP/1.1 and HTTP/2. The server accepts nothing that a level
// promises to stop, each scenario runs somewhere, and the page of results matches. CB01–CB06, CB16, CB20, CB26, CB27,
// CL01–CL05, HT01–HT03, JW01–JW20, OA07, OA09, OA21, PK01, PK02, PK28, TS08, TS09, TS14.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { scenarios } from '../../src/lab/catalog.ts'
import type { Outcome } from '../../src/lab/judge.ts'
import { describeSetting, type Setting } from '../../src/lab/matrix.ts'
import { describeScenario } from '../../src/lab/report/json.ts'
import { listFindings } from '../../src/lab/report/report.ts'
import { type Heading, judgeOurs, playOurs, readColumn } from '../helpers/client/comparison.ts'

t.setTimeout(240_000)

t.test('describes every scenario completely, with a unique id', async t => {
  t.equal(new Set(scenarios.map(({ id }) => id)).size, scenarios.length)
  for (const scenario of scenarios) {
    t.match(scenario.id, /^[a-z]+(-[a-z]+)*$/)
    t.match(scenario.sentence, /^[A-Z"].*\.$/, scenario.id)
    for (const words of Object.values(describeScenario(scenario))) t.ok(words.length > 0, scenario.id)
  }
})

const before = process.cpuUsage()
const runs = await playOurs()
const { user, system } = process.cpuUsage(before)

t.test('rejects every theft that a level promises to stop', async t => {
  t.equal(runs.length, 12)
  for (const run of runs) t.equal(run.findings.length, scenarios.length, describeSetting(run))
  const problems = listFindings(runs, 'failed').map(
    ({ finding: { scenario, evidence }, run }) => `${scenario.id}, ${describeSetting(run)}: ${evidence}`,
  )
  t.same(problems, [])
})

/** Returns the required outcome of a scenario against tlsbound. */
function expected(id: string, { level, tls, http }: Setting): Outcome {
  const isOlder = tls === 'TLSv1.2'
  if (id === 'server-restart') return 'not tried' // requires a server that can be restarted: connection-scenarios.test.ts
  if (isAboutProofs(id) && level !== 'proof') return 'not tried'
  if (id.startsWith('renegotiation')) return isOlder && http === 'http/1.1' ? 'passed' : 'not tried'
  if (id === 'no-extended-master-secret' && !isOlder) return 'not tried'
  const beyond = { 'other-connection': ['connection'], 'no-extended-master-secret': ['proof', 'connection'] }[id]
  return beyond?.includes(level) === false ? 'accepted, not promised' : 'passed'
}

t.test('has the expected outcome of each scenario in each run', async t => {
  for (const run of runs) {
    const found = run.findings.map(({ scenario: { id }, outcome, evidence }) => ({ id, outcome, evidence }))
    const wanted = found.map(({ id, evidence }) => ({ id, outcome: expected(id, run), evidence }))
    t.same(found, wanted, describeSetting(run))
    t.ok(run.connections <= 8 * scenarios.length, `${run.connections} connections`)
  }
  t.notMatch(JSON.stringify(runs), /eyJ|tlsbound_rt_|PRIVATE KEY/, 'no token, proof or key is in a report')
})

t.test('runs every scenario, and rejects it, at every level that promises to stop it', async t => {
  const played = new Set(listFindings(runs, 'passed').map(({ finding, run }) => `${finding.scenario.id} ${run.level}`))
  for (const { id, stoppedAt } of scenarios) {
    if (id === 'server-restart') continue // requires a server that can be restarted: connection-scenarios.test.ts
    const levels = stoppedAt.filter(level => level === 'proof' || !isAboutProofs(id))
    for (const level of levels) t.ok(played.has(`${id} ${level}`), `${id} at level ${level}`)
  }
})

/** Other levels have no proofs to forge. */
function isAboutProofs(id: string): boolean {
  return id.includes('proof')
}

t.test('has the same outcomes over both versions of HTTP, except for renegotiation', async t => {
  for (const run of runs.filter(({ http }) => http === 'h2')) {
    const twin = runs.find(({ level, tls, http }) => level === run.level && tls === run.tls && http === 'http/1.1')
    for (const [at, { scenario, outcome }] of run.findings.entries()) {
      if (scenario.id.startsWith('renegotiation')) continue // RFC 9113 §9.2.1 forbids it
      t.equal(outcome, twin?.findings[at]?.outcome, `${scenario.id}, ${describeSetting(run)}`)
    }
  }
})

t.test('runs the whole lab and its server in less than a minute of CPU time', async t => {
  const seconds = (user + system) / 1_000_000
  t.ok(seconds < 60, `${seconds.toFixed(1)} s`)
})

t.test('matches the columns of docs/reference/replay-lab.md', async t => {
  const page = readFileSync('docs/reference/replay-lab.md', 'utf8')
  for (const [heading, column] of Object.entries(judgeOurs(runs)))
    t.same(readColumn(page, heading as Heading), column, `${heading}; scripts/compare.ts writes the table`)
})
