// A git repository of a test, made by the real git without the user's configuration.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { buildOpaqueToken } from '../../../src/core/opaque-token.ts'
import { readHistory } from '../../../src/scan/git.ts'
import { type Finding, scan } from '../../../src/scan/scan.ts'

export interface TestRepository {
  readonly folder: string
  /** Runs git in it; returns its trimmed output. */
  git(...args: string[]): string
  /** Runs git with this on its stdin. */
  gitWith(input: string | Buffer, ...args: string[]): string
  /** Writes a file and stages it. */
  put(path: string | Buffer, content: string | Buffer): void
  /** Commits what is staged; returns the commit's id. */
  commit(message: string, ...args: string[]): string
}

/** The time of every commit. */
export const time = '2026-03-01T12:00:00+01:00'

export const environment = { PATH: process.env.PATH, GIT_CONFIG_NOSYSTEM: '1' }

export const makeToken = () => buildOpaqueToken('rt', randomBytes(32))

/** Makes a repository in a folder, with one commit on the branch `main`. */
export function makeRepository(folder: string, ...initOptions: string[]): TestRepository {
  mkdirSync(folder, { recursive: true })
  const repository = openRepository(folder)
  repository.git('init', '-q', '-b', 'main', ...initOptions)
  repository.put('readme', 'nothing\n')
  repository.commit('first')
  return repository
}

/** Opens the repository in a folder. */
export function openRepository(folder: string): TestRepository {
  const gitWith: TestRepository['gitWith'] = (input, ...args) => {
    const names = ['-c', 'user.name=x', '-c', 'user.email=x@example', '-c', 'protocol.file.allow=always']
    const dates = { GIT_AUTHOR_DATE: time, GIT_COMMITTER_DATE: time }
    return execFileSync('git', ['-C', folder, ...names, ...args], {
      env: { ...environment, ...dates, HOME: folder },
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
      input,
    }).trim()
  }
  const git: TestRepository['git'] = (...args) => gitWith('', ...args)
  return {
    folder,
    git,
    gitWith,
    put(path, content) {
      const full = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path)])
      if (typeof path === 'string') mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(full, content)
      git('add', '-A')
    },
    commit(message, ...args) {
      git('commit', '-qm', message, ...args)
      return git('rev-parse', 'HEAD')
    },
  }
}

export interface Scanned {
  readonly tokens: readonly string[]
  readonly findings: readonly Finding[]
  readonly problems: readonly string[]
}

/** Scans a repository as `tlsbound scan --git` does. `silence` in milliseconds. */
export async function scanRepository(t: Test, folder: string, env: object = {}, silence?: number): Promise<Scanned> {
  const problems: string[] = []
  const onProblem = (problem: string) => void problems.push(problem)
  const history = readHistory(folder, { ...environment, HOME: t.testdirName, ...env }, onProblem, silence)
  const { findings, tokens } = await scan(history, 0, onProblem)
  return { tokens: [...tokens.keys()], findings, problems }
}
