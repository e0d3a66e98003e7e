// The lab against a server of another project: node-oidc-provider with certificate-bound tokens, and a resource server that
// verifies them with jose. It stops what RFC 8705 promises to stop; the report lists what only a connection binding stops,
// without failures.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { describeSetting, type Run } from '../../src/lab/matrix.ts'
import { listFindings, sumUp } from '../../src/lab/report/report.ts'
import { judgeColumn, playForeign, readColumn } from '../helpers/client/comparison.ts'

t.setTimeout(120_000)

const runs = await playForeign()

function find({ findings }: Run, id: string) {
  return findings.find(({ scenario }) => scenario.id === id)
}

t.test('runs at level certificate, by the metadata alone', async t => {
  t.same(
    runs.map(run => describeSetting(run)),
    ['level certificate, TLS 1.3, HTTP/1.1', 'level certificate, TLS 1.2, HTTP/1.1'],
  )
})

t.test('finds nothing accepted that RFC 8705 requires to be rejected', async t => {
  const problems = listFindings(runs, 'failed').map(({ finding }) => `${finding.scenario.id}: ${finding.evidence}`)
  t.same(problems, [])
  t.ok(sumUp(runs).passed > 40, 'enough scenarios ran')
})

t.test('authenticates as a client with its token and TLS ticket, without any private key', async t => {
  for (const run of runs)
    for (const id of ['stolen-ticket', 'ticket-after-expiry', 'other-connection'])
      t.match(
        find(run, id),
        { outcome: 'accepted, not promised', evidence: /: 200\b/ },
        `${id}, ${describeSetting(run)}`,
      )
})

t.test('matches the column of docs/reference/replay-lab.md', async t => {
  const page = readFileSync('docs/reference/replay-lab.md', 'utf8')
  const column = readColumn(page, 'node-oidc-provider, certificate')
  t.same(column, judgeColumn(runs), 'scripts/compare.ts writes the table')
})
