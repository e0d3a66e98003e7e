// Scans a git repository: every object, reachable or not, and the names of its refs. Then it finds the oldest commit of
// each object with a token.

import { GitCommand, type GitOptions, Silence } from './git-command.ts'
import { findGitFolder, readRefs } from './git-files.ts'
import { type Findings, followHistory, type LocatedSource } from './git-history.ts'
import { createMirror } from './git-mirror.ts'
import { ObjectReader } from './git-objects.ts'
import type { OnProblem, Source } from './sighting.ts'

/** The maximum number of reported problems. */
const maximumProblems = 1000

/** The number of unreadable objects after which a repository is abandoned. */
const maximumUnreadable = 100

/**
 * Yields the content of a repository, offline and without reading its configuration. GIT_ variables of `env` are
 * ignored. `silence`: milliseconds without output before git is killed. Rejects with one sentence when there is no
 * repository; reports everything else that is unreadable.
 */
export async function* readHistory(
  repository: string,
  env: Readonly<Record<string, string | undefined>>,
  onProblem: OnProblem,
  silence = 60_000,
): AsyncGenerator<Source> {
  let reported = 0
  const report = (problem: string) => {
    if (++reported <= maximumProblems) onProblem(`${repository}: ${problem}`)
    else if (reported === maximumProblems + 1) onProblem(`${repository}: further problems are not listed`)
  }
  const reject = (error: Error) => Promise.reject(new Error(`git cannot read ${repository}: ${error.message}`))
  const gitFolder = await findGitFolder(repository).catch(reject)
  const mirror = await createMirror(gitFolder, env, report).catch(reject)
  try {
    const options = { cwd: mirror.folder, env: mirror.env, silence }
    const refs = await readRefs(gitFolder, report)
    for (const name of refs.named.keys()) yield { path: name, parts: partsOf(Buffer.from(name)) }
    const findings: Findings = new Map()
    yield* readObjects(options, findings, report)
    await followHistory(refs, findings, options, report).catch(error =>
      report(`the history cannot be read, so findings lack their commits: ${error.message}`),
    )
  } finally {
    await mirror.remove()
  }
}

async function* partsOf(whole: Buffer): AsyncGenerator<Buffer> {
  yield whole
}

/** Yields every object of a repository, and records those with a token. */
async function* readObjects(options: GitOptions, findings: Findings, report: OnProblem): AsyncGenerator<Source> {
  const list = new GitCommand(
    ['cat-file', '--batch-all-objects', '--unordered', '--batch-check=%(objectname)'],
    options,
  )
  const objects = new ObjectReader(options)
  let unreadable = 0
  async function* guard(id: string, parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    try {
      yield* parts
    } catch (error) {
      report(`object ${id} cannot be read (${(error as Error).message})`)
      unreadable += error instanceof Silence ? maximumUnreadable : 1
    }
  }
  try {
    list.endInput()
    for await (const line of list.lines()) {
      const id = line.toString('latin1')
      const { type, parts } = await objects.open(id)
      const source: LocatedSource = {
        ...describeObject(id, type),
        parts: guard(id, parts),
        onFound: () => findings.set(id, { type, source }),
      }
      yield source
      if (unreadable >= maximumUnreadable) return report('the remaining objects were not searched')
    }
    const problem = await list.end()
    if (problem !== undefined) report(problem)
  } catch (error) {
    report((error as Error).message)
  } finally {
    list.kill()
    objects.close()
  }
}

/** What is known about an object before the history is read. */
function describeObject(object: string, type: string): Pick<Source, 'path' | 'object' | 'commit'> {
  if (type === 'commit') return { path: '(the commit itself)', object, commit: object }
  return { path: type === 'tag' ? '(the tag itself)' : `(a ${type} of no commit)`, object }
}
