// Follows the chain of one writer of events, and classifies each line that does not fit (verify.ts).
import { chainStart } from './recorder.ts'

/** A line of a file. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** A line that is an event: the hash that it refers to, and its own. */
export interface Link extends Place {
  readonly chain: string
  readonly hash: string
  /** Whether it is the first line of its writer in its file. */
  readonly opensFile: boolean
}

/** What is found at a line of a chain. */
export type Misfit = 'broken' | 'inserted' | 'bypassed' | 'swapped' | 'new_chain' | 'later_chain'

/** Lines that are remembered, to distinguish a reference to an earlier line from a reference to no line. */
const remembered = 1024

export class Chain<Finding> {
  readonly #after: string | undefined
  readonly #report: (what: Misfit, place: Place, other?: Place) => Finding
  readonly #recent = new Map<string, Place>()
  /** A line that does not fit: the next line decides how it is classified. */
  #held: Link | undefined
  /** The hash to which the next line must refer; undefined if unknown. */
  end: string | undefined
  last: Place | undefined

  /** `after`: the hash to which the first line must refer; undefined if unknown. `report` makes a finding. */
  constructor(after: string | undefined, report: (what: Misfit, place: Place, other?: Place) => Finding) {
    this.#after = after
    this.#report = report
    this.end = after
  }

  /** Follows the next line. */
  *follow(link: Link): Generator<Finding, void> {
    if (this.#held !== undefined) {
      const stranger = this.#held
      this.#held = undefined
      if (link.chain === this.end && stranger.chain === link.hash) {
        yield this.#report('swapped', placeOf(stranger), placeOf(link))
        this.#accept(link)
        this.#accept(stranger)
        return
      }
      if (link.chain === this.end) yield this.#report('inserted', placeOf(stranger))
      else yield this.#classify(stranger)
    }
    const after = this.#after
    if (link.chain === this.end) this.#accept(link)
    else if (link.opensFile && link.chain === chainStart && (this.end !== after || after === undefined)) {
      yield this.#report('new_chain', placeOf(link))
      this.#accept(link)
    } else if (this.end === undefined) {
      yield this.#report('later_chain', placeOf(link))
      this.#accept(link)
    } else this.#held = link
  }

  /** Classifies the last line, if it did not fit. */
  *finish(): Generator<Finding, void> {
    if (this.#held !== undefined) yield this.#classify(this.#held)
    this.#held = undefined
  }

  #accept(link: Link): void {
    this.end = link.hash
    this.last = placeOf(link)
    this.#recent.set(link.hash, this.last)
    if (this.#recent.size > remembered) this.#recent.delete(this.#recent.keys().next().value as string)
  }

  #classify(link: Link): Finding {
    const further = this.#recent.get(link.chain)
    const finding = this.#report(further ? 'bypassed' : 'broken', placeOf(link), further ?? this.last)
    this.#accept(link)
    return finding
  }
}

function placeOf({ file, line }: Place): Place {
  return { file, line }
}
