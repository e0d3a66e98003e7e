// tlsbound scan: finds our tokens in files, in what comes in, and in the history of a repository; offline, unless what was
// found is to be reported.

import { blotTokens } from '../core/leak-report.ts'
import { printable } from '../core/printable.ts'
import { readFiles } from '../scan/files.ts'
import { readHistory } from '../scan/git.ts'
import { type Finding, type Scan, scan } from '../scan/scan.ts'
import type { OnProblem, Source } from '../scan/sighting.ts'
import { httpsUrl } from '../settings/forms.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { type GivenIdentity, identityHelp, identityOptions, requireIdentity } from './identity-options.ts'
import { tell } from './ops.ts'
import { say } from './say.ts'
import { reportLeaks } from './scan-report.ts'

export const command: Command = {
  help: `Usage: tlsbound scan PATH… [OPTIONS]
       tlsbound scan --git [REPOSITORY…] [OPTIONS]

Finds tokens of tlsbound in files and folders, and on stdin for -. Their checksum tells them from noise; signed ones are
known by their form. Tells what each is worth to others, and whether the key that it is bound to lies there as well.
No token is shown, and nothing is sent anywhere without --report. Exit 0 if nothing was found, 1 if something was, or could
not be read.

  --git                   search every object of a git repository, and the names of its refs, instead of files (default: .)
  --report URL            report what was found to this server, which then ends these tokens; as a client with the scope
                          leaks:report
  --json                  the findings as JSON
${identityHelp}`,
  options: {
    git: { type: 'boolean' },
    report: { type: 'string' },
    json: { type: 'boolean' },
    ...identityOptions,
  },
  takesWords: true,
  async run(values, words) {
    if (words.length === 0 && values.git !== true) throw new UsageError('scan takes paths, or - for stdin, or --git')
    const to = readReceiver(values)
    const problems: string[] = []
    const onProblem = (problem: string) => {
      problems.push(blotTokens(problem))
      say(blotTokens(problem))
    }
    const found = await scan(readSources(values, words, onProblem), Math.floor(Date.now() / 1000), onProblem)
    const { findings, dropped, sources, tokens } = found
    if (values.json === true) tell(values, { findings, dropped, problems }, '')
    else for (const finding of findings) process.stdout.write(`${describeFinding(finding)}\n`)
    const where = `${count(findings.length, 'place')}; looked at ${count(sources, values.git ? 'object' : 'file')}`
    say(`${count(tokens.size, 'token')} in ${where}.`)
    if (dropped > 0) say(`${dropped} more places were seen, and not kept: scan smaller parts.`)
    if (findings.length > 0 || problems.length > 0) process.exitCode = 1
    if (to !== undefined && tokens.size > 0) await report(found, to)
  },
}

interface Receiver {
  readonly url: string
  readonly identity: GivenIdentity
}

/** Whom to report to; said before anything is scanned. @throws UsageError */
function readReceiver(values: Values): Receiver | undefined {
  if (values.report === undefined) return undefined
  const url = httpsUrl.read(String(values.report))
  if (url === undefined) throw new UsageError('--report takes the address of a server, as https://localhost:8443')
  return { url, identity: requireIdentity(values) }
}

async function* readSources(values: Values, words: readonly string[], onProblem: OnProblem): AsyncGenerator<Source> {
  if (values.git === true)
    for (const repository of words.length === 0 ? ['.'] : words) yield* readHistory(repository, process.env, onProblem)
  else
    for (const word of words)
      if (word === '-') yield { path: 'stdin', parts: process.stdin }
      else yield* readFiles(word, onProblem)
}

async function report({ tokens, dropped }: Scan, { url, identity }: Receiver): Promise<void> {
  await reportLeaks(tokens, url, identity)
  say(`Reported ${tokens.size} tokens to ${url}: those that are its own have ended, with their grants.`)
  if (dropped > 0) throw new Error('what was not kept was not reported')
}

/** In one line, whatever the names in it are. */
function describeFinding(finding: Finding): string {
  const { path, line, column, object, commit, date, kind, begins, hash, remark } = finding
  const id = commit ?? object
  const where = id === undefined ? '' : `${id.slice(0, 12)}${date === undefined ? '' : ` of ${date}`}, `
  return printable(`${where}${path}:${line}:${column}: ${kind} ${begins}…, SHA-256 ${hash.slice(0, 16)}…: ${remark}`)
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}
