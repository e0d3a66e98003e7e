// Folders that others can replace through one of those that contain them.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requireOwnParents } from '../../src/files/parent-folders.ts'

/** Creates outer/inner/run in a folder with the sticky bit. */
function prepare(t: Test) {
  const outer = mkdtempSync(join(tmpdir(), 'tlsbound-'))
  t.teardown(() => rmSync(outer, { recursive: true }))
  const inner = join(outer, 'inner')
  const run = join(inner, 'run')
  mkdirSync(run, { recursive: true, mode: 0o755 })
  return { outer, inner, run }
}

t.test('accepts a folder whose parents nobody else can change', async t => {
  const { outer, run, inner } = prepare(t)
  t.doesNotThrow(() => requireOwnParents(run), 'below a folder for all with the sticky bit')
  chmodSync(run, 0o777)
  t.doesNotThrow(() => requireOwnParents(run), 'its own mode is checked elsewhere')
  symlinkSync(inner, join(outer, 'link'))
  t.doesNotThrow(() => requireOwnParents(join(outer, 'link', 'run')))
})

t.test('refuses a folder that others can replace', async t => {
  for (const mode of [0o777, 0o775, 0o757]) {
    const { outer, inner, run } = prepare(t)
    for (const parent of [outer, inner]) {
      chmodSync(parent, mode)
      t.throws(() => requireOwnParents(run), {
        message: new RegExp(`^${parent}: with its mode 0${mode.toString(8)}, others can replace`),
      })
      chmodSync(parent, 0o755)
    }
    const other = prepare(t)
    symlinkSync(other.run, join(inner, 'link'))
    chmodSync(inner, mode)
    t.throws(() => requireOwnParents(join(inner, 'link')), /can replace/, 'where the link is')
    chmodSync(inner, 0o755)
    chmodSync(other.inner, mode)
    t.throws(() => requireOwnParents(join(inner, 'link')), /can replace/, 'where the link leads')
  }
})

t.test('refuses a folder in one of another user', { skip: process.geteuid?.() !== 0 && 'needs root' }, async t => {
  const { inner, run } = prepare(t)
  chownSync(inner, 65_534, 65_534)
  t.throws(() => requireOwnParents(run), /its owner, another user \(65534\), can replace/)
})
