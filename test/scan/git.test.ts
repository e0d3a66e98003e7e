// The history of a repository as whoever clones it gets it: nothing in the folder of the repository, and nothing in the
// environment, hides from a scan what stands in it. CF11.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { buildOpaqueToken, hashOpaqueToken } from '../../src/core/opaque-token.ts'
import { readHistory } from '../../src/scan/git.ts'
import { scan } from '../../src/scan/scan.ts'

type Git = (...args: string[]) => string

const bare = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: '1' }

/** A repository with a token in its first commit, which the second took away, and one that only a merge has brought. */
function makeRepository(t: Test) {
  const folder = t.testdir()
  const git: Git = (...args) => {
    const names = ['-c', 'user.name=x', '-c', 'user.email=x@example']
    return execFileSync('git', ['-C', folder, ...names, ...args], {
      env: { ...bare, HOME: folder },
      encoding: 'utf8',
    }).trim()
  }
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    git('add', name)
  }
  const [first, merged] = [buildOpaqueToken('rt', randomBytes(32)), buildOpaqueToken('rt', randomBytes(32))]
  git('init', '-q', '-b', 'main')
  put('first', first)
  git('commit', '-qm', 'first')
  git('rm', '-q', 'first')
  put('second', 'x')
  git('commit', '-qm', 'second')
  git('checkout', '-qb', 'side')
  put('side', 'x')
  git('commit', '-qm', 'beside')
  git('checkout', '-q', 'main')
  git('merge', '-q', '--no-ff', '--no-commit', 'side')
  put('merged', merged)
  git('commit', '-qm', 'merge')
  git('branch', '-qd', 'side')
  git('reflog', 'expire', '--expire=now', '--all')
  mkdirSync(join(folder, 'sub'))
  return { folder, git, tokens: [first, merged].map(hashOpaqueToken) }
}

async function find(repository: string, env: object = {}): Promise<string[]> {
  const history = readHistory(repository, { ...bare, HOME: repository, ...env }, t.fail)
  return (await scan(history, 0, t.fail)).findings.map(({ hash }) => hash)
}

const tricks: Readonly<Record<string, (git: Git, folder: string) => void>> = {
  'control: nothing': () => {},
  'another file in the place of one': git => {
    writeFileSync(join(git('rev-parse', '--absolute-git-dir'), 'harmless'), 'x')
    git('replace', git('rev-parse', 'main~2:first'), git('hash-object', '-w', '.git/harmless'))
  },
  'another commit in the place of one': git => {
    git('replace', 'main', git('commit-tree', '-m', 'x', git('rev-parse', 'main~1^{tree}')))
  },
  'a commit that has lost its parents': (git, folder) => {
    writeFileSync(join(folder, '.git/info/grafts'), `${git('rev-parse', 'main')}\n`)
  },
  'a configuration that shows no merges': git => git('config', 'log.diffMerges', 'off'),
  'a configuration that shows them combined': git => git('config', 'log.diffMerges', 'combined'),
}

for (const [trick, play] of Object.entries(tricks))
  t.test(`what a history holds is found: ${trick}`, async t => {
    const { folder, git, tokens } = makeRepository(t)
    play(git, folder)
    t.same((await find(folder)).toSorted(), tokens.toSorted())
  })

t.test('the repository that is named is read, from its top, wherever one stands', async t => {
  const { folder, git, tokens } = makeRepository(t)
  const other = join(folder, 'other')
  git('init', '-q', other)
  git('config', 'diff.relative', 'true')
  t.same((await find(join(folder, 'sub'))).toSorted(), tokens.toSorted(), 'from a folder within it')
  t.same((await find(folder, { GIT_DIR: join(other, '.git') })).toSorted(), tokens.toSorted(), 'from a hook')
})
