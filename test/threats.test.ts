// docs/reference/threats.md: every code of a test is defined there, every definition has a test, and the page is generated.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { buildThreats } from '../scripts/threats.ts'

t.test('the codes of the tests and their definitions are complete on both sides', async t => {
  const { page, problems } = buildThreats()
  t.same(problems, [])
  t.equal(readFileSync('docs/reference/threats.md', 'utf8'), page, 'node scripts/threats.ts --write writes the page')
})
