// `tlsbound scan --sarif`: the log validates against the schema of OASIS, and hostile names stay inside their places.
// LK03.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import t, { type Test } from 'tap'
import { buildSarif } from '../../src/cli/scan-sarif.ts'
import { buildOpaqueToken } from '../../src/core/opaque-token.ts'
import type { Finding } from '../../src/scan/scan.ts'
import { run, runTlsbound } from '../helpers/process/process.ts'

t.setTimeout(120_000)

/** The schema is in draft-04. It differs from what Ajv knows only in the name of its id. */
const { $schema: _, id: __, ...schema } = JSON.parse(readFileSync('test/scan/sarif/sarif-schema-2.1.0.json', 'utf8'))
const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema)

function check(t: Pick<Test, 'ok'>, log: unknown): void {
  t.ok(validate(log), JSON.stringify(validate.errors))
}

t.test('reports files and history as a valid log without any token', async t => {
  const folder = t.testdir()
  const tokens = ['rt', 'at'].map(kind => buildOpaqueToken(kind as 'rt' | 'at', randomBytes(32)))
  const odd = 'a b#?%[x]{0}(é)'
  mkdirSync(join(folder, odd))
  mkdirSync(join(folder, 'clean'))
  writeFileSync(join(folder, odd, 'one.env'), `\nA=${tokens[0]}\n`)
  writeFileSync(join(folder, 'two.env'), `é ${tokens[1]} ${tokens[0]}`)
  const files = await runTlsbound(['scan', '.', 'none', '--sarif'], folder)
  t.equal(files.code, 1)
  const log = JSON.parse(files.stdout)
  check(t, log)
  const [{ results, invocations, tool }] = log.runs
  t.equal(results.length, 3)
  t.match(invocations, [{ executionSuccessful: false, toolExecutionNotifications: [{ message: { text: /^none/ } }] }])
  const places = results.map(({ locations: [{ physicalLocation: place }] }: typeof log) => [
    decodeURIComponent(place.artifactLocation.uri),
    place.region.startLine,
  ])
  t.same(places.sort(), [
    [`${odd}/one.env`, 2],
    ['two.env', 1],
    ['two.env', 1],
  ])
  for (const { ruleId, ruleIndex, locations } of results) {
    t.equal(tool.driver.rules[ruleIndex].id, ruleId)
    const { uri } = locations[0].physicalLocation.artifactLocation
    t.equal(new URL(uri, 'https://base.example/').href, `https://base.example/${uri}`, 'a relative reference')
  }
  for (const token of tokens) t.notMatch(files.stdout, token.slice(16), 'no token')
  const fingerprints = results.map((result: typeof log) => result.partialFingerprints['tokenHash/v1'])
  t.equal(new Set(fingerprints).size, 2, 'a token has the same fingerprint in each place')

  for (const args of [
    ['init', '-q'],
    ['add', '.'],
    ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'x'],
  ])
    t.match(await run('git', args, folder), { code: 0 })
  const history = JSON.parse((await runTlsbound(['scan', '--git', '.', '--sarif'], folder)).stdout)
  check(t, history)
  t.match(history.runs[0].results[0].properties, { commit: /^[\da-f]{40}$/ })

  const clean = await runTlsbound(['scan', 'clean', '--sarif'], folder)
  t.match(clean, { code: 0 })
  check(t, JSON.parse(clean.stdout))
  t.match(JSON.parse(clean.stdout).runs, [{ results: [], invocations: [{ executionSuccessful: true }] }])
  t.match(await runTlsbound(['scan', '.', '--sarif', '--json'], folder), { code: 2 })
  check(t, JSON.parse('{"version":"2.1.0","runs":[]}'))
  t.notOk(validate({ version: '2.1.0', runs: [{ results: [{}] }] }), 'control: the schema is in force')
})

t.test('escapes what has a meaning in a message, and marks the tokens whose key was found', t => {
  const leaked = { subject: 'CN=[a](https://evil.example){0}\u202e', thumbprint: 'x' }
  const finding: Finding = {
    path: '/abs/\ud800',
    line: 1,
    column: 1,
    kind: 'signed access token',
    begins: 'eyJ',
    hash: 'h'.repeat(43),
    remark: `its key was found: ${leaked.subject}`,
    leaked_certificate: leaked,
  }
  const log = buildSarif({ findings: [finding], dropped: 3, problems: ['[b](c) {1}'], version: '0' })
  check(t, log)
  const [{ results, invocations }] = (log as { runs: [{ results: unknown; invocations: unknown }] }).runs
  t.match(results, [{ level: 'error', ruleId: 'signed-access-token' }])
  t.match(JSON.stringify(results), /CN=\\\\\[a\\\\\]\(https:\/\/evil\.example\)\{\{0\}\}/)
  t.match(JSON.stringify(results), /file:\/\/\/abs\/%EF%BF%BD/)
  t.match(JSON.stringify(invocations), /\\\\\[b\\\\\]\(c\) \{\{1\}\}.*3 more places/)
  t.end()
})
