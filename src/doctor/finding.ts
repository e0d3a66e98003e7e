// A finding of the doctor: one sentence, with a remedy for a problem.
import { FileProblem } from '../files/file-problem.ts'
import { OutgoingError } from '../outgoing/failure.ts'

/** `failure`: the server does not start, or a part of it cannot work. `warning`: it works, but should be checked. */
export type Verdict = 'good' | 'warning' | 'failure'

export interface Finding {
  readonly verdict: Verdict
  readonly found: string
  /** What to do; only for problems. */
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

/** Converts the error of a loader into failures, one per line of its message. */
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

/** Runs a check and converts its errors into findings. */
export async function findingsOf(
  check: () => readonly Finding[] | Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check()
  } catch (error) {
    return failuresOf(error)
  }
}

/** Splits a sentence `CAUSE; REMEDY`. */
export function splitRemedy(sentence: string): readonly [cause: string, remedy: string | undefined] {
  const at = sentence.lastIndexOf('; ')
  return at === -1 ? [sentence, undefined] : [sentence.slice(0, at), sentence.slice(at + 2)]
}

const day = 86_400_000

/** Checks the expiry of the thing named by `what`, in milliseconds since 1970. */
export function checkEnd(
  what: string,
  end: number | undefined,
  now: number,
  warningDays: number,
  remedy: string,
): Finding {
  if (end === undefined) return good(`${what} does not expire`)
  const date = new Date(end).toISOString()
  if (end <= now) return failure(`${what} expired on ${date}`, remedy)
  if (end - now > warningDays * day) return good(`${what} expires on ${date}`)
  return warning(`${what} expires in ${Math.floor((end - now) / day)} days, on ${date}`, remedy)
}
