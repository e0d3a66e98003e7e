// The scan reads everything in a repository: what a clone contains, and what only a copy of its folder contains. Neither the
// content of the repository nor the environment hides a token. CF11.
import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeRepository, makeToken, scanRepository, type TestRepository, time } from '../helpers/process/repository.ts'

t.setTimeout(600_000) // runs git several hundred times

/**
 * Puts a token into a repository, and leaves the working tree clean. Returns the expected path of the finding, and its
 * commit if that is determined.
 */
type Place = (repository: TestRepository, token: string) => { path: string | RegExp; commit?: string | undefined }

/** Places that a clone of all refs contains. */
const clonedPlaces: Readonly<Record<string, Place>> = {
  'a file that a later commit removes': ({ git, put, commit }, token) => {
    put('a/b.txt', `x\n${token}`)
    const brought = commit('with it')
    git('rm', '-q', 'a/b.txt')
    commit('without it')
    return { path: 'a/b.txt', commit: brought }
  },
  'a file that only a merge adds': ({ git, put, commit }, token) => {
    git('checkout', '-qb', 'side')
    put('side', 'x')
    commit('beside')
    git('checkout', '-q', 'main')
    git('merge', '-q', '--no-ff', '--no-commit', 'side')
    put('merged', token)
    return { path: 'merged', commit: commit('merge') }
  },
  'the message of a commit': ({ commit }, token) => ({
    path: '(the commit itself)',
    commit: commit(`look:\n\n${token}`, '--allow-empty'),
  }),
  'the name of an author': ({ commit }, token) => ({
    path: '(the commit itself)',
    commit: commit('x', '--allow-empty', `--author=${token} <x@example>`),
  }),
  'the address of a committer': ({ git }, token) => {
    git('-c', `user.email=${token}@example`, 'commit', '-qm', 'x', '--allow-empty')
    return { path: '(the commit itself)', commit: git('rev-parse', 'HEAD') }
  },
  'an unknown header of a commit': ({ git, gitWith }, token) => {
    const [head, body] = git('cat-file', 'commit', 'main').split('\n\n')
    const changed = `${head}\nx-note ${token}\n\n${body}\n`
    const id = gitWith(changed, 'hash-object', '-t', 'commit', '-w', '--stdin')
    git('update-ref', 'refs/heads/main', id)
    return { path: '(the commit itself)', commit: id }
  },
  'the message of an annotated tag': ({ git }, token) => {
    git('tag', '-a', 'message', '-m', token)
    return { path: 'refs/tags/message (the tag itself)' }
  },
  'the name of a tagger': ({ git }, token) => {
    git('-c', `user.name=${token}`, 'tag', '-a', 'tagger', '-m', 'x')
    return { path: 'refs/tags/tagger (the tag itself)' }
  },
  'the message of a nested tag': ({ git }, token) => {
    git('tag', '-a', 'inner', '-m', token)
    git('tag', '-a', 'outer', '-m', 'x', 'inner')
    git('tag', '-d', 'inner')
    return { path: '(the tag itself)' }
  },
  'a tagged blob': ({ git, gitWith }, token) => {
    git('tag', 'blob', gitWith(token, 'hash-object', '-w', '--stdin'))
    return { path: 'refs/tags/blob', commit: undefined }
  },
  'a blob with nested annotated tags': ({ git, gitWith }, token) => {
    git('tag', '-a', 'within', '-m', 'x', gitWith(token, 'hash-object', '-w', '--stdin'))
    git('tag', '-a', 'around', '-m', 'x', 'within')
    git('tag', '-d', 'within')
    return { path: 'refs/tags/around', commit: undefined }
  },
  'a file of a tagged tree': ({ git, put }, token) => {
    put('tagged/b.txt', token)
    git('tag', '-a', 'folder', '-m', 'x', git('write-tree'))
    git('reset', '-q', '--hard')
    return { path: 'tagged/b.txt', commit: undefined }
  },
  'a file name in a tagged tree': ({ git, put }, token) => {
    put(`names/${token}`, 'x')
    git('tag', 'tree', git('write-tree'))
    git('reset', '-q', '--hard')
    return { path: 'names (names in this folder)', commit: undefined }
  },
  'a file name': ({ put, commit }, token) => {
    put(token, 'x')
    return { path: '. (names in this folder)', commit: commit('x') }
  },
  'a folder name': ({ put, commit }, token) => {
    put(`folders/${token}/b`, 'x')
    return { path: 'folders (names in this folder)', commit: commit('x') }
  },
  'the path of a submodule': ({ git, commit }, token) => {
    git('update-index', '--add', '--cacheinfo', `160000,${git('rev-parse', 'main')},modules/${token}`)
    return { path: 'modules (names in this folder)', commit: commit('x') }
  },
  'the target of a symbolic link': ({ git, gitWith, commit }, token) => {
    git('update-index', '--add', '--cacheinfo', `120000,${gitWith(token, 'hash-object', '-w', '--stdin')},link`)
    return { path: 'link', commit: commit('x') }
  },
  'a note': ({ git }, token) => {
    git('notes', 'add', '-m', token, 'main')
    return { path: git('rev-parse', 'main'), commit: git('rev-parse', 'refs/notes/commits') }
  },
  'the stash': ({ git, put }, token) => {
    put('readme', token)
    git('stash', '-q')
    return { path: 'readme' }
  },
  'a replacement of an object': ({ git, gitWith }, token) => {
    git('replace', git('rev-parse', 'main:readme'), gitWith(token, 'hash-object', '-w', '--stdin'))
    return { path: /^refs\/replace\// }
  },
  'a pull request': ({ git, put, commit }, token) => {
    put('pull', token)
    const id = commit('x')
    git('update-ref', 'refs/pull/1/head', id)
    git('reset', '-q', '--hard', 'HEAD~1')
    return { path: 'pull', commit: id }
  },
  'a ref outside the usual namespaces': ({ git, gitWith }, token) => {
    git('update-ref', 'refs/odd', gitWith(token, 'hash-object', '-w', '--stdin'))
    return { path: 'refs/odd' }
  },
  'a tag name': ({ git }, token) => {
    git('tag', token)
    return { path: 'refs/tags/tlsbound_rt_…' }
  },
  'a branch name': ({ git }, token) => {
    git('branch', `a/${token}`)
    return { path: 'refs/heads/a/tlsbound_rt_…' }
  },
  'the name of a symbolic ref': ({ git }, token) => {
    git('symbolic-ref', `refs/heads/${token}`, 'refs/heads/main')
    return { path: 'refs/heads/tlsbound_rt_…' }
  },
  'a large file': ({ put, commit }, token) => {
    put('large', Buffer.concat([randomBytes(3_000_000), Buffer.from(token), randomBytes(3_000_000)]))
    return { path: 'large', commit: commit('x') }
  },
}

/** Places that a clone does not contain, but a copy of the folder does. */
const localPlaces: Readonly<Record<string, Place>> = {
  'an older stash': ({ git, put }, token) => {
    put('readme', token)
    git('stash', '-q')
    put('readme', 'other')
    git('stash', '-q')
    return { path: 'readme' }
  },
  'a commit that only the reflog refers to': ({ git, put, commit }, token) => {
    put('reflogged', token)
    const id = commit('x')
    git('reset', '-q', '--hard', 'HEAD~1')
    return { path: 'reflogged', commit: id }
  },
  'a commit that only a linked working tree refers to': ({ git, folder }, token) => {
    const other = join(folder, 'other')
    git('worktree', 'add', '-q', '--detach', other)
    writeFileSync(join(other, 'beside'), token)
    git('-C', other, 'add', 'beside')
    git('-C', other, 'commit', '-qm', 'x')
    rmSync(join(folder, '.git/worktrees/other/logs'), { recursive: true })
    return { path: 'beside', commit: git('-C', other, 'rev-parse', 'HEAD') }
  },
  'an unreachable commit': ({ git, put, commit }, token) => {
    put('unreachable', token)
    commit('x')
    git('reset', '-q', '--hard', 'HEAD~1')
    git('reflog', 'expire', '--expire=now', '--all')
    rmSync(join(git('rev-parse', '--absolute-git-dir'), 'ORIG_HEAD'))
    return { path: '(a blob of no commit)', commit: undefined }
  },
  'a staged file': ({ put }, token) => {
    put('staged', token)
    return { path: '(a blob of no commit)', commit: undefined }
  },
}

const allPlaces = { ...clonedPlaces, ...localPlaces }

for (const [place, put] of Object.entries(allPlaces))
  t.test(`finds and locates a token in ${place}`, async t => {
    const repository = makeRepository(t.testdir())
    const token = makeToken()
    const expected = put(repository, token)
    const { tokens, findings, problems } = await scanRepository(t, repository.folder)
    t.same({ tokens, problems }, { tokens: [token], problems: [] })
    const matches = (path: string) =>
      typeof expected.path === 'string' ? path === expected.path : expected.path.test(path)
    const found = findings.find(({ path }) => matches(path))
    t.ok(found, `${findings.map(({ path }) => path)}`)
    if ('commit' in expected) t.equal(found?.commit, expected.commit)
    if (expected.commit !== undefined) t.equal(found?.date, time)
  })

/** Creates a repository with a token in each place; `cloned` are those that a clone of all refs contains. */
function fillRepository(t: Test, ...initOptions: string[]) {
  const repository = makeRepository(join(t.testdir(), 'full'), ...initOptions)
  const fill = (places: Readonly<Record<string, Place>>) =>
    Object.entries(places).map(([place, put]) => {
      const token = makeToken()
      put(repository, token)
      repository.git('reset', '-q', '--hard')
      return [token, place] as const
    })
  const local = fill(localPlaces) // first: one stash becomes the older one
  const cloned = new Map(fill(clonedPlaces))
  return { ...repository, cloned, all: new Map([...cloned, ...local]) }
}

/** Scans a folder, and expects every token to be found. Returns the problems. */
async function expectAll(t: Test, folder: string, expected: ReadonlyMap<string, string>, env?: object) {
  const { tokens, problems } = await scanRepository(t, folder, env)
  const missed = [...expected].filter(([token]) => !tokens.includes(token)).map(([, place]) => place)
  t.same(missed, [], 'every token is found')
  t.equal(tokens.length, expected.size, 'nothing else is found')
  return problems
}

t.test('finds nothing in a repository without tokens', async t => {
  const repository = makeRepository(t.testdir())
  for (const put of Object.values(allPlaces)) {
    put(repository, makeToken().slice(0, -1)) // a token without its last character is invalid
    repository.git('reset', '-q', '--hard')
  }
  t.same(await scanRepository(t, repository.folder), { tokens: [], findings: [], problems: [] })
})

t.test('finds everything in packs and linked working trees, from any folder and in any environment', async t => {
  const { folder, git, all } = fillRepository(t)
  t.same(await expectAll(t, folder, all), [], 'loose objects')
  git('repack', '-qad', '--keep-unreachable')
  git('pack-refs', '--all', '--prune')
  t.same(await expectAll(t, folder, all), [], 'packs')
  mkdirSync(join(folder, 'sub/sub'), { recursive: true })
  t.same(await expectAll(t, join(folder, 'sub/sub'), all), [], 'from a subfolder')
  t.same(await expectAll(t, join(folder, '.git'), all), [], 'from the .git folder')
  const tree = join(folder, '../tree')
  git('worktree', 'add', '-q', '--detach', tree)
  t.same(await expectAll(t, tree, all), [], 'from a linked working tree')
  const other = makeRepository(join(folder, '../other'))
  const foreign = { GIT_DIR: join(other.folder, '.git'), GIT_OBJECT_DIRECTORY: join(other.folder, '.git/objects') }
  t.same(await expectAll(t, folder, all, foreign), [], 'in the environment of a hook of another repository')
  t.same((await scanRepository(t, other.folder)).tokens, [], 'control: the other repository contains none')
  renameSync(join(folder, '.git'), join(folder, '../elsewhere'))
  writeFileSync(join(folder, '.git'), 'gitdir: ../elsewhere\n')
  t.same(await expectAll(t, folder, all), [], 'with a separate git directory, as of a submodule')
})

t.test('finds everything in a SHA-256 repository', async t => {
  const { folder, git, all } = fillRepository(t, '--object-format=sha256')
  t.match(git('rev-parse', 'main'), /^[0-9a-f]{64}$/)
  t.same(await expectAll(t, folder, all), [], 'loose objects')
  git('repack', '-qad', '--keep-unreachable')
  t.same(await expectAll(t, folder, all), [], 'packs')
})

t.test('finds everything that a clone contains or borrows from its alternates', async t => {
  const { folder, git, cloned, all } = fillRepository(t)
  const beside = join(folder, '..')
  git('clone', '-q', '--mirror', `file://${folder}`, join(beside, 'mirror'))
  t.same(await expectAll(t, join(beside, 'mirror'), cloned), [], 'a bare clone')
  git('clone', '-q', '--mirror', '--shared', folder, join(beside, 'shared'))
  git('clone', '-q', '--shared', join(beside, 'shared'), join(beside, 'twice'))
  t.same(await expectAll(t, join(beside, 'twice'), all), [], 'from an alternate with an alternate')
  rmSync(join(beside, 'shared'), { recursive: true })
  const { problems } = await scanRepository(t, join(beside, 'twice'))
  t.match(problems, [/the object folder .*shared\/objects cannot be read/], 'a missing alternate')
})

t.test(
  'scans a shallow clone without problems, and reports missing objects of a partial one without fetching them',
  async t => {
    const { folder, git, put, commit } = makeRepository(join(t.testdir(), 'full'))
    const [early, late, message] = [makeToken(), makeToken(), makeToken()]
    put('early', early)
    commit(message)
    git('rm', '-q', 'early')
    put('late', late)
    commit('late')
    const beside = join(folder, '..')
    git('clone', '-q', '--depth=1', `file://${folder}`, join(beside, 'shallow'))
    t.match(await scanRepository(t, join(beside, 'shallow')), { tokens: [late], problems: [] })
    git('config', 'uploadpack.allowFilter', 'true')
    const url = `file://${folder}`
    git('clone', '-q', '--filter=blob:none', '--no-checkout', url, join(beside, 'partial'))
    const partial = await scanRepository(t, join(beside, 'partial'))
    t.match(partial, { tokens: [message], problems: [/objects missing in the history: 3, .* partial clone/] })
    t.match(
      await scanRepository(t, folder),
      { problems: [] },
      'control: the complete repository has no missing objects',
    )
  },
)
