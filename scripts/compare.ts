// Runs the lab against this server and against another one, and writes the results into docs/reference/replay-lab.md. The
// tests of the lab compare the page with the same runs.
import { readFileSync, writeFileSync } from 'node:fs'
import { judgeColumn, judgeOurs, playForeign, playOurs, writeComparison } from '../test/helpers/client/comparison.ts'

const path = 'docs/reference/replay-lab.md'
const page = readFileSync(path, 'utf8')
const table = /^\| scenario \|.*\n(?:\|.*\n)*/m
if (!table.test(page)) throw new Error(`${path} lacks the table that begins with "| scenario |"`)

const ours = judgeOurs(await playOurs())
const foreign = { 'node-oidc-provider, certificate': judgeColumn(await playForeign()) }
const written = writeComparison({ ...ours, ...foreign } as Parameters<typeof writeComparison>[0])
writeFileSync(
  path,
  page.replace(table, () => written),
)
