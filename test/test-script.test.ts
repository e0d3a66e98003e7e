// The report of npm test: each failure once with its name, including crashed and timed-out files, without escape codes.
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import t, { type Test } from 'tap'

t.setTimeout(120_000) // processes of their own

const files = {
  passing: `import t from 'tap'
    t.test('adds', async t => { t.equal(1 + 1, 2); t.ok(true) })`,
  failing: `import t from 'tap'
    t.test('adds', async t => { t.equal(1, 2, 'one is two'); t.ok(true) })`,
  crashing: `throw new Error('before the first test')`,
  unloadable: `import './missing.ts'`,
  exiting: `import t from 'tap'
    t.test('leaves', async t => { t.ok(true); process.exit(3) })`,
  empty: `console.log('no test in here')`,
  slow: `import t from 'tap'
    t.test('waits', async t => { t.ok(true); setInterval(() => {}, 1000); await new Promise(() => {}) })`,
  hanging: `setInterval(() => {}, 1000)`,
  skipping: `import t from 'tap'
    t.skip('needs another system')
    t.ok(true)`,
}

/** Runs scripts/test.ts in a project that has only these test files. */
function runTests(t: Test, names: readonly (keyof typeof files)[], check = 'exit 0') {
  const cwd = t.testdir({
    'package.json': JSON.stringify({ type: 'module', scripts: { check } }),
    test: Object.fromEntries(names.map(name => [`${name}.test.ts`, files[name]])),
  })
  const { PATH, HOME } = process.env // without the variables of the outer run
  const env = { PATH, HOME, TAP_TIMEOUT: '3' }
  const { status, stdout, stderr } = spawnSync('node', [resolve('scripts/test.ts')], { cwd, env, encoding: 'utf8' })
  const output = stdout + stderr
  t.equal(stripVTControlCharacters(output), output, 'prints no escape codes to a log file')
  const failures = [...stdout.matchAll(/^not ok: (.*)$/gm)].map(([, name]) => name)
  return { status, output, failures, last: stdout.trimEnd().split('\n').at(-1) }
}

t.test('runs the tests that depend on Node on another one too, and names its version', async t => {
  const cwd = t.testdir({
    'package.json': JSON.stringify({ type: 'module', scripts: { check: 'exit 0' } }),
    test: {
      core: { 'one.test.ts': files.passing, 'two.test.ts': files.failing },
      cli: { 'three.test.ts': files.passing },
    },
  })
  const { PATH, HOME } = process.env
  const run = (env: object) =>
    spawnSync('node', [resolve('scripts/test.ts')], {
      cwd,
      env: { PATH, HOME, TAP_TIMEOUT: '3', ...env },
      encoding: 'utf8',
    })
  const both = run({ OTHER_NODE: process.execPath })
  t.match(both.stdout, `ok test/core/one.test.ts (Node ${process.version}): 2 passed`)
  t.match(both.stdout, `not ok: test/core/two.test.ts (Node ${process.version}): adds > one is two`)
  t.notMatch(both.stdout, 'three.test.ts (Node')
  t.equal(both.stdout.trimEnd().split('\n').at(-1), '8 passed, 2 failed')
  t.equal(run({}).stdout.trimEnd().split('\n').at(-1), '5 passed, 1 failed', 'control')
  t.equal(run({ OTHER_NODE: '/nonexistent/node' }).status, 1, 'a Node that does not exist is an error, not a Node less')
})

t.test('passing tests', async t => {
  const { status, output, failures, last } = runTests(t, ['passing', 'skipping'])
  t.same({ status, failures, last }, { status: 0, failures: [], last: '3 passed, 0 failed' })
  t.match(output, /^ok test\/passing\.test\.ts: 2 passed, 0 failed, \d+ s$/m)
})

t.test('reports each file that ends early as one failure with its name, beside the failures of others', async t => {
  const names = ['crashing', 'empty', 'exiting', 'failing', 'hanging', 'passing', 'slow', 'unloadable'] as const
  const { status, output, failures, last } = runTests(t, names)
  t.same(failures, [
    'test/crashing.test.ts: ended with exit code 1, though no check failed',
    'test/empty.test.ts: ended before its tests did, or has none',
    'test/exiting.test.ts: leaves > test unfinished',
    'test/failing.test.ts: adds > one is two',
    'test/hanging.test.ts: ended with SIGKILL, though no check failed',
    'test/slow.test.ts: waits > timeout!',
    'test/unloadable.test.ts: ended with exit code 1, though no check failed',
  ])
  t.same({ status, last }, { status: 1, last: '5 passed, 7 failed' })
  t.match(output, /^not ok test\/crashing\.test\.ts: 0 passed, 1 failed, \d+ s$/m)
  t.match(output, /Error: before the first test/, 'with its reason')
  t.match(output, /not ok: test\/failing.*?\n.*-2\n.*\+1\n/s, 'with the difference')
})

t.test('reports a failed check', async t => {
  const { status, failures, last } = runTests(t, ['passing'], 'exit 1')
  t.same({ status, failures, last }, { status: 1, failures: ['npm run check'], last: '2 passed, 1 failed' })
})

t.test('fails without a test file', async t => {
  const { status, failures } = runTests(t, [])
  t.same({ status, failures }, { status: 1, failures: ['no test file was found'] })
})
