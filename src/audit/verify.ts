// Verifies the chains through files of events (recorder.ts), and classifies each break. The octets of each line are verified.
// Every worker of a server has a chain of its own: it begins at the line of the main chain that announces it, and a later line
// there has its end. Only a hash stored elsewhere shows that the beginning or the end of the files was cut off.
import { Chain, type Link, type Place } from './chain.ts'
import { isWhole } from './last-line.ts'
import type { Line } from './lines.ts'
import { chainStart, hashLine } from './recorder.ts'

export type { Place } from './chain.ts'

export interface EventLines {
  readonly file: string
  readonly lines: AsyncIterable<Line>
}

/** The findings that prove a change. */
const problems = [
  'broken',
  'inserted',
  'bypassed',
  'swapped',
  'foreign',
  'cut_off',
  'cut_short',
  'unannounced',
] as const

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
  /** The hash to which the next line will refer, in the form of `parseEnds` if workers were running. */
  readonly end: string
}

/** The ends of the chains: `HASH`, then `,WRITER:HASH` for each worker that was running. */
export const endsPattern = /^[\w-]{43}(,[\w-]{1,32}:[\w-]{43})*$/

/** A line as a link of the chain of its writer. */
interface EventLink extends Link {
  /** The worker's chain; undefined for the main chain. */
  readonly writer: string | undefined
  /** What a line of the main chain says about the chain of a worker. */
  readonly about: About | undefined
}

interface About {
  readonly writer: string
  readonly isStart: boolean
  readonly worker: unknown
  readonly last: string | undefined
}

/**
 * Verifies files in the order in which they were written. `after`: the ends to which the first lines must refer. `expect`:
 * earlier ends, which must be hashes of lines.
 */
export async function* verifyChain(
  files: Iterable<EventLines>,
  { after, expect }: { readonly after?: string | undefined; readonly expect?: string | undefined } = {},
): AsyncGenerator<Finding, Verdict> {
  const before = parseEnds(after)
  const missing = new Set(parseEnds(expect).values())
  for (const hash of before.values()) missing.delete(hash)
  let events = 0
  let wrong = 0
  /** Whether the files begin with the beginning of the main chain, so that they announce every worker. */
  let isFromStart = false

  function report(what: What, place: Place | undefined, other?: Place): Finding {
    const isProblem = problems.some(name => name === what)
    if (isProblem) wrong++
    return { what, isProblem, ...(place && placeOf(place)), ...(other && { other: placeOf(other) }) }
  }
  const main = new Chain<Finding>(before.get(''), report)
  const chains = new Map<string, Chain<Finding>>()
  /** The chain of each worker number, of those that are not known to have ended. */
  const running = new Map<unknown, string>()
  const ended = new Set<string>()
  for (const [writer, hash] of before) if (writer !== '') begin(writer, hash, writer)

  function begin(writer: string, hash: string | undefined, worker: unknown): Chain<Finding> {
    const chain = new Chain<Finding>(hash, report)
    chains.set(writer, chain)
    running.set(worker, writer)
    return chain
  }

  function* followWorker(writer: string, link: Link): Generator<Finding, void> {
    const known = chains.get(writer)
    if (ended.has(writer)) yield report('inserted', link)
    else if (known === undefined && isFromStart) yield report('unannounced', link)
    else yield* (known ?? begin(writer, undefined, writer)).follow({ ...link, opensFile: false })
  }

  function* heed({ writer, isStart, worker, last }: About, place: Link): Generator<Finding, void> {
    if (isStart) return void begin(writer, place.hash, worker)
    const chain = chains.get(writer)
    if (chain !== undefined) yield* chain.finish()
    if (chain !== undefined && last !== undefined && chain.end !== last) yield report('cut_short', place)
    ended.add(writer)
    chains.delete(writer)
    for (const [number, name] of running) if (name === writer) running.delete(number)
  }

  for (const { file, lines } of files) {
    let line = 0
    let opensFile = true
    for await (const { octets } of lines) {
      line++
      const place = { file, line }
      const link = parseLink(octets, place, opensFile)
      if (typeof link === 'string') yield report(link, place)
      if (typeof link !== 'object') continue
      events++
      missing.delete(link.hash)
      const { writer, about, ...own } = link
      if (writer !== undefined) {
        yield* followWorker(writer, own)
        continue
      }
      yield* main.follow(own)
      if (opensFile && own.chain === chainStart && main.last !== undefined && before.size === 0 && chains.size === 0)
        isFromStart = true
      opensFile = false
      if (about !== undefined) yield* heed(about, own)
    }
  }
  for (const chain of [main, ...chains.values()]) yield* chain.finish()
  if (missing.size > 0) yield report('cut_off', main.last)
  const open = [...running.values()].flatMap(writer => {
    const end = chains.get(writer)?.end
    return end === undefined ? [] : [`${writer}:${end}`]
  })
  return { events, problems: wrong, end: [main.end ?? chainStart, ...open].join() }
}

function placeOf({ file, line }: Place): Place {
  return { file, line }
}

/** Returns the ends by writer; that of the main chain has the key ''. */
function parseEnds(text: string | undefined): ReadonlyMap<string, string> {
  const ends = text === undefined ? [] : text.split(',')
  return new Map(ends.map(part => (part.includes(':') ? (part.split(':') as [string, string]) : ['', part])))
}

/** Parses a line as an event, or classifies it; undefined for an empty line. */
function parseLink(octets: Buffer, place: Place, opensFile: boolean): EventLink | 'torn' | 'foreign' | undefined {
  const text = octets.toString()
  if (text === '') return undefined
  if (!isWhole(text)) return text.startsWith('{') ? 'torn' : 'foreign'
  const event = JSON.parse(text)
  // The facts of tlsbound are at the top, or below one of these members, by the format.
  const facts = event.chain !== undefined ? event : (event.tlsbound ?? event.unmapped)
  if (typeof facts?.chain !== 'string') return 'foreign'
  const { chain, writer, chain_of: about, change, worker, last } = facts
  return {
    ...place,
    chain,
    hash: hashLine(octets),
    opensFile,
    writer: typeof writer === 'string' ? writer : undefined,
    about:
      typeof about === 'string'
        ? { writer: about, isStart: change === 'started', worker, last: typeof last === 'string' ? last : undefined }
        : undefined,
  }
}
