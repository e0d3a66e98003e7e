// Compares the generated files with the output of their generators.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'

t.setTimeout(240_000) // runs the demo, the help of every command, and the compiler

t.test('has current generated files', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate.ts', '--check'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('rejects a file that differs, and names its generator', async t => {
  const folder = t.testdir({
    src: t.fixture('symlink', `${process.cwd()}/src`),
    node_modules: t.fixture('symlink', `${process.cwd()}/node_modules`),
    docs: { reference: { 'settings.md': '# Settings\n' } },
  })
  const check = () =>
    spawnSync(process.execPath, [`${process.cwd()}/scripts/generate.ts`, '--check', 'settings'], {
      cwd: folder,
      encoding: 'utf8',
    })
  const { status, stderr } = check()
  t.equal(status, 1)
  t.match(stderr, /^docs\/reference\/settings\.md differs .*: node scripts\/generate\.ts settings\n\+ /)
  t.equal(readFileSync(`${folder}/docs/reference/settings.md`, 'utf8'), '# Settings\n', 'writes nothing')
})
