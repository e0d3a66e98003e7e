// tlsbound scan: finds tlsbound tokens in files, on stdin and in the history of a repository. It works offline unless
// --report is given.

import { escapeForDisplay } from '../core/escape-for-display.ts'
import { redactTokens } from '../core/leak-report.ts'
import { readFiles } from '../scan/files.ts'
import { readHistory } from '../scan/git.ts'
import { type Finding, type Scan, scan } from '../scan/scan.ts'
import type { OnProblem, Source } from '../scan/sighting.ts'
import { httpsUrl } from '../settings/forms.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { type GivenIdentity, identityNotes, identityOptions, requireIdentity } from './identity-options.ts'
import { clearProgress, showProgress, writeMessage, writeResult } from './output.ts'
import { reportLeaks } from './scan-report.ts'
import { buildSarif } from './scan-sarif.ts'
import { readVersion } from './version.ts'

export const command: Command = {
  usage: ['PATH... [OPTIONS]', '--git [REPOSITORY...] [OPTIONS]'],
  description: [
    'Finds tokens of tlsbound in files and folders; - means stdin. Opaque tokens are recognized by their checksum, signed ones by their structure. For each token it reports what others can do with it, and whether the private key that it is bound to was found too.',
    'The report contains no token. Nothing is sent without --report.',
  ],
  positionals: { value: 'PATH' },
  options: [
    {
      name: 'git',
      help: 'Searches every object of a git repository (default: the current folder) and the names of its refs, instead of files',
    },
    {
      name: 'report',
      value: 'URL',
      help: 'Reports the tokens to this server, which revokes them. The client needs the scope leaks:report',
    },
    { name: 'json', help: 'Writes the findings as JSON' },
    { name: 'sarif', help: 'Writes the findings as SARIF 2.1.0, which code hosts show beside the code' },
    ...identityOptions,
  ],
  groupNotes: identityNotes,
  failure: 'a token was found, or a file or object could not be read',
  examples: ['tlsbound scan .', 'tlsbound scan --git', 'tlsbound scan . --report https://localhost:8443'],
  async run(values, paths) {
    if (paths.length === 0 && values.git !== true)
      throw new UsageError('a path to search, - for stdin, or --git is missing')
    if (values.json === true && values.sarif === true) throw new UsageError('expected --json or --sarif, not both')
    const to = readReceiver(values)
    const problems: string[] = []
    const onProblem = (problem: string) => {
      problems.push(redactTokens(problem))
      writeMessage(redactTokens(problem))
    }
    const found = await scan(
      withProgress(readSources(values, paths, onProblem)),
      Math.floor(Date.now() / 1000),
      onProblem,
    )
    const { findings, dropped, sources, tokens } = found
    clearProgress()
    if (values.json === true) writeResult(values, { findings, dropped, problems }, '')
    else if (values.sarif === true) {
      const log = buildSarif({ findings, dropped, problems, version: readVersion() })
      writeResult({ json: true }, log, '')
    } else for (const finding of findings) process.stdout.write(`${describeFinding(finding)}\n`)
    const where = `${count(findings.length, 'place')}; searched ${count(sources, values.git ? 'object' : 'file')}`
    writeMessage(`${count(tokens.size, 'token')} in ${where}.`)
    if (dropped > 0) writeMessage(`${dropped} more places were found and are not listed: scan smaller parts.`)
    if (findings.length > 0 || problems.length > 0) process.exitCode = 1
    if (to !== undefined && tokens.size > 0) await report(found, to)
  },
}

interface Receiver {
  readonly url: string
  readonly identity: GivenIdentity
}

/** Prepares the report, so that errors appear before the scan. @throws UsageError */
function readReceiver(values: Values): Receiver | undefined {
  if (values.report === undefined) return undefined
  const url = httpsUrl.parse(String(values.report))
  if (url === undefined)
    throw new UsageError('--report must be the address of a server, such as https://localhost:8443')
  return { url, identity: requireIdentity(values) }
}

/** Passes the sources on and shows progress. */
async function* withProgress(sources: AsyncIterable<Source>): AsyncGenerator<Source> {
  let number = 0
  let shownAt = 0
  for await (const source of sources) {
    number++
    const now = performance.now()
    if (now - shownAt > progressInterval) {
      showProgress(`${number}: ${redactTokens(source.path)}`)
      shownAt = now
    }
    yield source
  }
}

const progressInterval = 100

async function* readSources(values: Values, paths: readonly string[], onProblem: OnProblem): AsyncGenerator<Source> {
  if (values.git === true)
    for (const repository of paths.length === 0 ? ['.'] : paths) yield* readHistory(repository, process.env, onProblem)
  else
    for (const path of paths)
      if (path === '-') yield { path: 'stdin', parts: process.stdin }
      else yield* readFiles(path, onProblem)
}

async function report({ tokens, dropped }: Scan, { url, identity }: Receiver): Promise<void> {
  await reportLeaks(tokens, url, identity)
  writeMessage(
    `Reported ${count(tokens.size, 'token')} to ${url}. Tokens issued by this server are revoked, with their grants.`,
  )
  if (dropped > 0) throw new Error('tokens in unlisted places were not reported')
}

/** Formats a finding as one line, with control characters escaped. */
function describeFinding(finding: Finding): string {
  const { path, line, column, object, commit, date, kind, begins, hash, remark } = finding
  const id = commit ?? object
  const where = id === undefined ? '' : `${id.slice(0, 12)}${date === undefined ? '' : ` of ${date}`}, `
  return escapeForDisplay(
    `${where}${path}:${line}:${column}: ${kind} ${begins}…, SHA-256 ${hash.slice(0, 16)}…: ${remark}`,
  )
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
