// Locates the objects with tokens in the history of a repository, and reports the objects that its history lacks.
import { describePath } from './files.ts'
import { GitCommand, type GitOptions } from './git-command.ts'
import type { Refs } from './git-files.ts'
import type { OnProblem, Source } from './sighting.ts'

/** A source whose place is filled in here. */
export type LocatedSource = { -readonly [Name in keyof Source]: Source[Name] }

export interface Finding {
  readonly type: string
  readonly source: LocatedSource
}

/** Keyed by object id. */
export type Findings = Map<string, Finding>

interface Target {
  readonly id: string
  readonly type: string
}

/** Fills in the places of the findings, and reports missing objects. Rejects when git cannot read the history. */
export async function followHistory(
  { named, others }: Refs,
  findings: Findings,
  options: GitOptions,
  report: OnProblem,
): Promise<void> {
  const ids = [...new Set([...named.values(), ...others])].filter(id => id !== undefined)
  const targets = await findTargets(ids, options)
  for (const [name, id = ''] of named) {
    const target = targets.get(id)
    if (id !== '' && target === undefined) report(`${name} refers to ${id}, which is not in the repository`)
    for (const finding of [findings.get(id), findings.get(target?.id ?? '')])
      if (finding !== undefined && finding.type !== 'commit') finding.source.path = describePlace(finding.type, name)
  }
  const commits = [...targets.values()].filter(({ type }) => type === 'commit')
  const rest = [...targets.values()].filter(({ type }) => type !== 'commit') // together with commits, git would attribute them to one
  for (const roots of [commits, rest]) if (roots.length > 0) await walk(roots, findings, options, report)
}

/** Returns the final target of each tag among these objects. */
async function findTargets(ids: readonly string[], options: GitOptions): Promise<Map<string, Target>> {
  const targets = new Map<string, Target>()
  const git = new GitCommand(['cat-file', '--batch-check=%(objectname) %(objecttype)'], options)
  try {
    for (const id of ids) git.write(`${id}^{}\n`)
    git.endInput()
    for (const id of ids) {
      const line = await git.readLine()
      const [, target, type] = /^([0-9a-f]{40,64}) (commit|tree|blob)$/.exec(String(line)) ?? []
      if (target !== undefined && type !== undefined) targets.set(id, { id: target, type })
    }
    return targets
  } finally {
    git.kill()
  }
}

/** Reads each object once, with the first commit that contains it and the first line of its path. */
const listing = [
  ...['rev-list', '--objects', '--in-commit-order', '--topo-order', '--reverse'],
  ...['--missing=print', '--format=%aI', '--stdin'],
]

async function walk(
  roots: readonly Target[],
  findings: Findings,
  options: GitOptions,
  report: OnProblem,
): Promise<void> {
  const git = new GitCommand(listing, options)
  try {
    for (const { id } of roots) git.write(`${id}\n`)
    git.endInput()
    const missing: string[] = []
    let [commit, date] = ['', '']
    for await (const line of git.lines()) {
      const [, mark, id = ''] = /^(commit |\?|)([0-9a-f]{40,64})/.exec(line.toString('latin1', 0, 72)) ?? []
      const finding = findings.get(id === '' ? commit : id)
      if (id === '') {
        date = line.toString('latin1') // the date follows its commit
        if (finding !== undefined) finding.source.date = date
      } else if (mark === '?') missing.push(id)
      else if (mark === 'commit ') [commit, date] = [id, '']
      else if (finding !== undefined) {
        const path = describePath(line.subarray(id.length + 1))
        if (path !== '' || finding.type === 'tree') finding.source.path = describePlace(finding.type, path)
        if (commit !== '') Object.assign(finding.source, { commit, date })
      }
    }
    const problem = await git.end()
    if (problem !== undefined) throw new Error(problem)
    if (missing.length > 0)
      report(`objects missing in the history: ${missing.length}, such as ${missing[0]}; this may be a partial clone`)
  } finally {
    git.kill()
  }
}

function describePlace(type: string, path: string): string {
  if (type === 'tag') return `${path} (the tag itself)`
  return type === 'tree' ? `${path === '' ? '.' : path} (names in this folder)` : path
}
