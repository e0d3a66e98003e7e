// The generated files are what the code says.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'

t.setTimeout(240_000) // it runs the demo, every command's help, and the compiler

t.test('each generated file is what its generator builds', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate.ts', '--check'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('the check refuses a file that differs, and names the generator', async t => {
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
  t.equal(readFileSync(`${folder}/docs/reference/settings.md`, 'utf8'), '# Settings\n', 'and writes nothing')
})
