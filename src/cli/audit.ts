// tlsbound audit: whether the security events in files are those that were written, all of them and in their order.
import { createReadStream } from 'node:fs'
import { describeFinding } from '../audit/findings.ts'
import { readLines } from '../audit/lines.ts'
import { type EventLines, type Finding, verifyChain } from '../audit/verify.ts'
import { type Command, UsageError, type Values } from './command.ts'
import { tell } from './ops.ts'

/** Findings that are shown; the others are counted. */
const shown = 100

export const command: Command = {
  help: `Usage: tlsbound audit verify FILE... [OPTIONS]

Verifies security events that were written with TLSBOUND_AUDIT_FILE, in any of the forms: each line holds the hash of the
line before it, so a line that was changed, taken out, put in or moved shows. Give the files in the order in which they
were written; - is stdin, as in: zcat audit.jsonl.1.gz | tlsbound audit verify - audit.jsonl
At the end it says the hash to which the next line will refer. Keep that elsewhere: by itself no file shows that its end
was cut off, or all of it written anew. Exit 1 if anything is wrong.

  --after HASH       what the first line must refer to
  --expect HASH      what was the end once: the line that was last then must still be there
  --json             the same as JSON
`,
  options: { after: { type: 'string' }, expect: { type: 'string' }, json: { type: 'boolean' } },
  takesWords: true,
  async run(values, [action, ...files]) {
    if (action !== 'verify' || files.length === 0) throw new UsageError('say audit verify, and at least one file')
    const anchors = { after: readHash(values, 'after'), expect: readHash(values, 'expect') }
    const verification = verifyChain(files.map(openLines), anchors)
    const findings: Finding[] = []
    let unshown = 0
    let step = await verification.next()
    for (; step.done !== true; step = await verification.next())
      if (findings.length < shown) findings.push(step.value)
      else unshown++
    const verdict = step.value
    const words = findings.map(describeFinding)
    if (unshown > 0) words.push(`and ${unshown} more`)
    words.push(
      verdict.problems === 0
        ? `good: ${verdict.events} events`
        : `${verdict.problems} ${verdict.problems === 1 ? 'problem' : 'problems'}`,
    )
    words.push(`the next line refers to ${verdict.end}`)
    const json = findings.map(finding => ({ ...finding, words: describeFinding(finding) }))
    tell(values, { good: verdict.problems === 0, ...verdict, findings: json, unshown }, words.join('\n'))
    if (verdict.problems > 0) process.exitCode = 1
  },
}

function openLines(file: string): EventLines {
  return { file: file === '-' ? 'stdin' : file, lines: readLines(readChunks(file)) }
}

/** Rejects with one sentence that names the file. */
async function* readChunks(file: string): AsyncGenerator<Buffer> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(file)
  } catch (error) {
    const name = file === '-' ? 'stdin' : file
    throw new Error(`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}

/** @throws UsageError */
function readHash(values: Values, name: string): string | undefined {
  const hash = values[name]
  if (hash !== undefined && !/^[\w-]{43}$/.test(String(hash)))
    throw new UsageError(`--${name} must be a hash as audit verify tells it: 43 characters of base64url`)
  return hash as string | undefined
}
