// What a check of the doctor says: one sentence about one thing, with the remedy where it is not as it should be.
import { FileProblem } from '../files/file-problem.ts'
import { OutgoingError } from '../outgoing/failure.ts'

/** `failure`: the server does not start, or something of it cannot work. `warning`: it works, and should be checked. */
export type Verdict = 'good' | 'warning' | 'failure'

export interface Finding {
  readonly verdict: Verdict
  readonly found: string
  /** What to do, for anything but `good`. */
  readonly remedy?: string | undefined
}

export function good(found: string): Finding {
  return { verdict: 'good', found }
}

export function warning(found: string, remedy?: string): Finding {
  return { verdict: 'warning', found, remedy }
}

export function failure(found: string, remedy?: string): Finding {
  return { verdict: 'failure', found, remedy }
}

/** Turns what a reader of the server throws into a failure: each line of its message is one. */
export function failuresOf(error: unknown): Finding[] {
  if (error instanceof FileProblem) {
    const { file, finding } = error
    const where = finding.position === undefined ? file : `${file}, ${finding.position}`
    return [failure(`${where}: ${finding.found}`, finding.remedy)]
  }
  if (error instanceof OutgoingError) return [failure(...splitRemedy(error.message))]
  const [first = '', ...lines] = (error as Error).message.split('\n')
  return lines.length === 0 ? [failure(first)] : lines.map(line => failure(`${first} ${line.replace(/^ *- /, '')}`))
}

/** Runs a check; what its readers throw are its findings. */
export async function findingsOf(
  check: () => readonly Finding[] | Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check()
  } catch (error) {
    return failuresOf(error)
  }
}

/** Of a sentence `CAUSE; REMEDY`. */
export function splitRemedy(sentence: string): readonly [cause: string, remedy: string | undefined] {
  const at = sentence.lastIndexOf('; ')
  return at === -1 ? [sentence, undefined] : [sentence.slice(0, at), sentence.slice(at + 2)]
}

const day = 86_400_000

/** Judges an end, in milliseconds since 1970, that a thing named by `what` has. */
export function checkEnd(
  what: string,
  end: number | undefined,
  now: number,
  warningDays: number,
  remedy: string,
): Finding {
  if (end === undefined) return good(`${what}, without an end`)
  const date = new Date(end).toISOString()
  if (end <= now) return failure(`${what}, ended on ${date}`, remedy)
  if (end - now > warningDays * day) return good(`${what}, ends ${date}`)
  return warning(`${what}, ends in ${Math.floor((end - now) / day)} days, on ${date}`, remedy)
}
