// tlsbound audit: verifies that the security events in files are complete, unchanged and in order.
import { describeFinding } from '../audit/findings.ts'
import { readLines } from '../audit/lines.ts'
import { type EventLines, endsPattern, type Finding, verifyChain } from '../audit/verify.ts'
import { type Command, requireAction, UsageError, type Values } from './command.ts'
import { nameInput, readChunks } from './input.ts'
import { jsonOption } from './option.ts'
import { writeResult } from './output.ts'

/** How many findings are shown; the others are counted. */
const shown = 100

export const command: Command = {
  usage: ['verify FILE... [OPTIONS]'],
  description: [
    'Verifies the security events that a server wrote with TLSBOUND_AUDIT_FILE, in each of their formats. Every line contains the hash of the line before it. A line that was changed, removed, inserted or moved is therefore found.',
    'Pass the files in the order in which they were written; - means stdin. The last line is the hash that the next line will refer to. With TLSBOUND_WORKERS each worker has a chain of its own, and the last line has the end of each. Store that line elsewhere: a file alone cannot show that its end was cut off, or that all of it was rewritten.',
  ],
  actions: [{ name: 'verify', positionals: ['FILE...'], help: 'Verifies the files' }],
  positionals: { value: 'FILE' },
  options: [
    { name: 'after', value: 'HASH', help: 'The hash that the first line must refer to' },
    { name: 'expect', value: 'HASH', help: 'A hash that an earlier verification printed; its line must still exist' },
    jsonOption,
  ],
  failure: 'an event is missing or was changed, or a file cannot be read',
  examples: [
    'tlsbound audit verify audit.jsonl.1 audit.jsonl',
    'zcat audit.jsonl.1.gz | tlsbound audit verify - audit.jsonl',
  ],
  async run(values, [action, ...files]) {
    requireAction(command.actions ?? [], action)
    if (files.length === 0) throw new UsageError('a file to verify is missing')
    const anchors = { after: readHash(values, 'after'), expect: readHash(values, 'expect') }
    const verification = verifyChain(files.map(openLines), anchors)
    const findings: Finding[] = []
    let unshown = 0
    let step = await verification.next()
    for (; step.done !== true; step = await verification.next())
      if (findings.length < shown) findings.push(step.value)
      else unshown++
    const verdict = step.value
    const lines = findings.map(describeFinding)
    if (unshown > 0) lines.push(`and ${unshown} more`)
    lines.push(
      verdict.problems === 0
        ? `valid: ${verdict.events} events`
        : `${verdict.problems} ${verdict.problems === 1 ? 'problem' : 'problems'}`,
    )
    lines.push(`the next line refers to ${verdict.end}`)
    const json = findings.map(finding => ({ ...finding, words: describeFinding(finding) }))
    writeResult(values, { good: verdict.problems === 0, ...verdict, findings: json, unshown }, lines.join('\n'))
    if (verdict.problems > 0) process.exitCode = 1
  },
}

function openLines(file: string): EventLines {
  return { file: nameInput(file), lines: readLines(readChunks(file)) }
}

/** @throws UsageError */
function readHash(values: Values, name: string): string | undefined {
  const hash = values[name]
  if (hash !== undefined && !endsPattern.test(String(hash)))
    throw new UsageError(
      `--${name} must be a hash as audit verify prints it: 43 characters of base64url, and with workers one more for each of them`,
    )
  return hash as string | undefined
}
