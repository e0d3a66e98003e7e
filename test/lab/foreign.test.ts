// The lab against a server that is not ours: node-oidc-provider with certificate-bound tokens, and a resource that checks
// them with jose. What RFC 8705 promises is kept there; what only a connection binding stops is told, and is no failure.
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

t.test('it is met by its metadata alone, at level certificate', async t => {
  t.same(
    runs.map(run => describeSetting(run)),
    ['level certificate, TLS 1.3, HTTP/1.1', 'level certificate, TLS 1.2, HTTP/1.1'],
  )
})

t.test('it accepts nothing that RFC 8705 wants refused', async t => {
  const told = listFindings(runs, 'failed').map(({ finding }) => `${finding.scenario.id}: ${finding.evidence}`)
  t.same(told, [])
  t.ok(sumUp(runs).passed > 40, 'and was asked often enough')
})

t.test('a token and a TLS ticket are enough there to be its client, without any private key', async t => {
  for (const run of runs)
    for (const id of ['stolen-ticket', 'ticket-after-expiry', 'other-connection'])
      t.match(
        find(run, id),
        { outcome: 'accepted, not promised', evidence: /: 200\b/ },
        `${id}, ${describeSetting(run)}`,
      )
})

t.test('docs/reference/replay-lab.md says of it what came of it', async t => {
  const page = readFileSync('docs/reference/replay-lab.md', 'utf8')
  const column = readColumn(page, 'node-oidc-provider, certificate')
  t.same(column, judgeColumn(runs), 'scripts/compare.ts writes the table anew')
})
