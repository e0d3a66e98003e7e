// The history of a git repository: every version of every file that a branch, a tag, the stash or the reflog leads to, once,
// with the oldest commit that has it; and the commits themselves, for what stands in their messages.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { openObjects } from './git-objects.ts'
import type { OnProblem, Source } from './sighting.ts'

/** Nothing of the configuration of a repository may change what is read, or run a program. */
const configuration = ['log.showRoot=true', 'log.showSignature=false', 'core.fsmonitor=false']
const listing = [
  ...['log', '--all', '--reflog', '--topo-order', '--reverse', '--raw', '--no-renames', '--no-abbrev', '-z'],
  ...['--diff-merges=separate', '--no-relative'],
  '--format=tformat:commit %H %aI',
]

/**
 * What a clone would get, without what stands in its place only here (gitreplace). Offline: what a partial clone lacks is
 * not fetched.
 */
const honest = { GIT_NO_REPLACE_OBJECTS: '1', GIT_GRAFT_FILE: '/dev/null', GIT_NO_LAZY_FETCH: '1' } as const

/** Gives what a repository ever held. `env`: the environment that git runs in. Rejects when git cannot read it. */
export async function* readHistory(
  repository: string,
  env: Readonly<Record<string, string | undefined>>,
  onProblem: OnProblem,
): AsyncGenerator<Source> {
  // Within a hook, for one, they name another repository, or its files.
  const others = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('GIT_')))
  const git = (args: readonly string[]) => {
    const safe = configuration.flatMap(setting => ['-c', setting])
    return spawn('git', ['-C', repository, ...safe, ...args], { env: { ...others, ...honest } })
  }
  const log = git(listing)
  const logEnded = ended(log, repository)
  const objects = openObjects(git(['cat-file', '--batch']))
  const seen = new Set<string>()
  let commit = { commit: '', date: '' }
  /** The change that the next word is the path of. */
  let change: Change | undefined

  function* readObject(id: string, path: string): Generator<Source> {
    if (!seen.has(id)) yield { path, ...commit, parts: objects.read(id, onProblem) }
    seen.add(id)
  }

  try {
    for await (const word of splitWords(log.stdout as Readable)) {
      const [, hash, date] = /^\n?commit ([0-9a-f]{40,64}) (\S+)$/.exec(word) ?? []
      if (change !== undefined) {
        if (change.id !== undefined) yield* readObject(change.id, word)
        change = undefined
      } else if (hash !== undefined && date !== undefined) {
        commit = { commit: hash, date }
        yield* readObject(hash, '(the commit itself)')
      } else change = readChange(word)
    }
    await logEnded
  } finally {
    objects.close()
    log.kill()
  }
}

interface Change {
  /** Of what the file is now; undefined: it is gone, or a submodule, which lies elsewhere. */
  readonly id: string | undefined
}

function readChange(word: string): Change | undefined {
  const [, mode, id = ''] = /^\n?:\d{6} (\d{6}) [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*$/.exec(word) ?? []
  if (mode === undefined) return undefined
  return { id: mode === '160000' || /^0+$/.test(id) ? undefined : id }
}

/** What stands between NULs. */
async function* splitWords(stream: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const part of stream.setEncoding('utf8')) {
    const words = (rest + part).split('\0')
    rest = words.pop() as string
    yield* words
  }
}

/** Rejects with one sentence when git has not done what it was asked for. */
function ended(child: ChildProcess, repository: string): Promise<void> {
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', text => {
    complaint = (complaint + text).slice(0, 500)
  })
  const end = new Promise<void>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(error.code === 'ENOENT' ? 'git is needed for this, and is not installed' : error.message)),
    )
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new Error(`git cannot read ${repository}: ${complaint.trim()}`))
    })
  })
  end.catch(() => {}) // whoever reads to the end is told
  return end
}
