// Verifies the chain through files of events (recorder.ts), and classifies each break. The octets of each line are verified.
// Only a hash stored elsewhere shows that the beginning or the end was cut off.
import { isWhole } from './last-line.ts'
import type { Line } from './lines.ts'
import { chainStart, hashLine } from './recorder.ts'

export interface EventLines {
  readonly file: string
  readonly lines: AsyncIterable<Line>
}

/** A line of a file. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** The findings that prove a change. */
const problems = ['broken', 'inserted', 'bypassed', 'swapped', 'foreign', 'cut_off'] as const

export type What = (typeof problems)[number] | 'new_chain' | 'later_chain' | 'torn'

export interface Finding extends Partial<Place> {
  readonly what: What
  readonly isProblem: boolean
  /** The earlier line to which this one should refer, the line to which it does refer, or the line with which it is swapped. */
  readonly other?: Place | undefined
}

export interface Verdict {
  readonly events: number
  readonly problems: number
  /** The hash to which the next line will refer. */
  readonly end: string
}

/** A line that is an event: the hash that it refers to, and its own. */
interface Link extends Place {
  readonly chain: string
  readonly hash: string
  readonly opensFile: boolean
}

/** Lines that are remembered, to distinguish a reference to an earlier line from a reference to no line. */
const remembered = 1024

/**
 * Verifies files in the order in which they were written. `after`: the hash to which the first line must refer. `expect`: an
 * earlier end of the chain, which must be the hash of one of the lines.
 */
export async function* verifyChain(
  files: Iterable<EventLines>,
  { after, expect }: { readonly after?: string | undefined; readonly expect?: string | undefined } = {},
): AsyncGenerator<Finding, Verdict> {
  let end = after
  let last: Place | undefined
  let events = 0
  let wrong = 0
  let isExpected = expect === undefined || expect === after
  const recent = new Map<string, Place>()
  /** A line that does not fit: the next line decides how it is classified. */
  let held: Link | undefined

  function accept(link: Link): void {
    end = link.hash
    last = placeOf(link)
    recent.set(link.hash, last)
    if (recent.size > remembered) recent.delete(recent.keys().next().value as string)
  }
  function report(what: What, place: Place | undefined, other?: Place): Finding {
    const isProblem = problems.some(name => name === what)
    if (isProblem) wrong++
    return { what, isProblem, ...place, ...(other && { other }) }
  }
  function classify(link: Link): Finding {
    const further = recent.get(link.chain)
    const finding = report(further ? 'bypassed' : 'broken', placeOf(link), further ?? last)
    accept(link)
    return finding
  }

  for (const { file, lines } of files) {
    let line = 0
    let opensFile = true
    for await (const { octets } of lines) {
      line++
      const link = parseLink(octets, { file, line }, opensFile)
      if (typeof link === 'string') yield report(link, { file, line })
      if (typeof link !== 'object') continue
      events++
      opensFile = false
      isExpected ||= link.hash === expect

      if (held !== undefined) {
        const stranger: Link = held
        held = undefined
        if (link.chain === end && stranger.chain === link.hash) {
          yield report('swapped', placeOf(stranger), placeOf(link))
          accept(link)
          accept(stranger)
          continue
        }
        if (link.chain === end) yield report('inserted', placeOf(stranger))
        else yield classify(stranger)
      }
      if (link.chain === end) accept(link)
      else if (link.opensFile && link.chain === chainStart && (end !== after || after === undefined)) {
        yield report('new_chain', placeOf(link))
        accept(link)
      } else if (end === undefined) {
        yield report('later_chain', placeOf(link))
        accept(link)
      } else held = link
    }
  }
  if (held !== undefined) yield classify(held)
  if (!isExpected) yield report('cut_off', last)
  return { events, problems: wrong, end: end ?? chainStart }
}

function placeOf({ file, line }: Place): Place {
  return { file, line }
}

/** Parses a line as an event, or classifies it; undefined for an empty line. */
function parseLink(octets: Buffer, place: Place, opensFile: boolean): Link | 'torn' | 'foreign' | undefined {
  const text = octets.toString()
  if (text === '') return undefined
  if (!isWhole(text)) return text.startsWith('{') ? 'torn' : 'foreign'
  const { chain, tlsbound, unmapped } = JSON.parse(text)
  const found = chain ?? tlsbound?.chain ?? unmapped?.chain
  return typeof found === 'string' ? { ...place, chain: found, hash: hashLine(octets), opensFile } : 'foreign'
}
