// The audit file: whether events can be appended, and whether the chain of the last ones is complete.
import { createReadStream, statSync } from 'node:fs'
import { describeFinding } from '../audit/findings.ts'
import { readEnd } from '../audit/last-line.ts'
import { readLines } from '../audit/lines.ts'
import { verifyChain } from '../audit/verify.ts'
import type { Settings } from '../settings/settings.ts'
import { checkCreatable, checkWritable, exists } from './creatable.ts'
import { type Finding, failure, good, warning } from './finding.ts'

/** How many octets at the end of the file are verified; `tlsbound audit verify` reads all of it. */
const verified = 4_194_304

/** Checks the file, unless events go to stdout. */
export async function checkAuditFile({ auditFile: file }: Settings): Promise<Finding[]> {
  if (file === undefined) return [good('events go to stdout')]
  if (!exists(file)) return [checkCreatable(file, 'the event file')]
  const access = checkWritable(file, 'the event file')
  if (access.verdict !== 'good' || !statSync(file).isFile()) return [access]
  return [access, checkEndOf(file), ...(await verifyEnd(file))]
}

function checkEndOf(file: string): Finding {
  const { lastLine, isCut } = readEnd(file)
  if (!isCut)
    return good(lastLine === undefined ? `${file}: contains no event yet` : `${file}: the last event is complete`)
  const remedy =
    'no action is needed: the server terminates the line, and the next event refers to the last complete one'
  return warning(`${file}: the last line is incomplete, as after a crash or a full disk`, remedy)
}

async function verifyEnd(file: string): Promise<Finding[]> {
  const { size } = statSync(file)
  const stream = createReadStream(file, { start: Math.max(0, size - verified) })
  const lines = size > verified ? afterFirst(readLines(stream)) : readLines(stream)
  const verification = verifyChain([{ file, lines }])
  for (let step = await verification.next(); ; step = await verification.next()) {
    if (step.done) return [good(`${file}: the chain of the last ${step.value.events} events is intact`)]
    // In the middle of a file, line numbers mean nothing.
    const words = size > verified ? 'an event does not refer to the previous one' : describeFinding(step.value)
    if (step.value.isProblem)
      return [failure(`${file}: ${words}`, `find the cause with: tlsbound audit verify ${file}`)]
  }
}

/** Skips the first line, which may be incomplete. */
async function* afterFirst<T>(lines: AsyncIterable<T>): AsyncGenerator<T> {
  let isFirst = true
  for await (const line of lines) {
    if (!isFirst) yield line
    isFirst = false
  }
}
