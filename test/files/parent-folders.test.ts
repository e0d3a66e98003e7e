// Folders that others can replace through one of those that contain them.
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
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

t.test('accepts a folder whose parents only this user and root can change', async t => {
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

t.test('checks the folders that links lead through, as the system follows them', async t => {
  const { run, inner } = prepare(t)
  const [first, second] = [prepare(t), prepare(t)]
  // first/inner/link → second/inner/link → run
  symlinkSync(join(second.inner, 'link'), join(first.inner, 'link'))
  symlinkSync(run, join(second.inner, 'link'))
  t.doesNotThrow(() => requireOwnParents(join(first.inner, 'link')), 'control')
  chmodSync(second.inner, 0o777)
  t.throws(() => requireOwnParents(join(first.inner, 'link')), { message: new RegExp(`^${second.inner}: `) })
  chmodSync(second.inner, 0o755)

  // first/inner/other/../run is second/run
  symlinkSync(second.inner, join(first.inner, 'other'))
  mkdirSync(join(second.outer, 'run'))
  const path = `${first.inner}/other/../run`
  t.doesNotThrow(() => requireOwnParents(path), 'control')
  chmodSync(second.outer, 0o777)
  t.throws(() => requireOwnParents(path), { message: new RegExp(`^${second.outer}: `) })
  chmodSync(second.outer, 0o755)

  symlinkSync('../inner/relative', join(inner, 'relative'))
  t.throws(() => requireOwnParents(join(inner, 'relative')), { message: /too many symbolic links/ })
})

const notRoot = process.geteuid?.() !== 0 && 'needs root'
t.test('refuses a link of another user in a folder with the sticky bit', { skip: notRoot }, async t => {
  const { outer, run } = prepare(t)
  const link = join(outer, 'link')
  symlinkSync(run, link)
  lchownSync(link, 65_534, 65_534)
  t.doesNotThrow(() => requireOwnParents(link), 'its owner cannot rename it here')
  chmodSync(outer, 0o1777)
  t.throws(() => requireOwnParents(link), { message: /link: its owner, another user \(65534\), can replace/ })
  lchownSync(link, 0, 0)
  t.doesNotThrow(() => requireOwnParents(link), 'control')
})

t.test('refuses a folder in one of another user', { skip: notRoot }, async t => {
  const { inner, run } = prepare(t)
  chownSync(inner, 65_534, 65_534)
  t.throws(() => requireOwnParents(run), /its owner, another user \(65534\), can replace/)
})
