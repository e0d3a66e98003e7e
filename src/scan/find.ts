// Finds tokens, private keys and certificates in a stream of octets. Chunks may end anywhere; only as many octets are
// buffered as the longest match needs. Every octet is one character here (latin1).
import { isOpaqueToken } from '../core/opaque-token.ts'
import { readLeakedJwt } from './jwt.ts'
import { readLeakedPaseto } from './paseto.ts'
import { readPem } from './pem.ts'
import type { Found, Sighting } from './sighting.ts'

/** Octets of the longest match, and octets of a match that may precede its pattern. */
const reach = { after: 16_384, before: 512 } as const

/** Patterns for the beginning of a candidate. Each costs at most linear time. */
const patterns = [
  { begin: /tlsbound_(?=rt_|at_)/g, read: readOpaque, kind: 'token' },
  { begin: /\.(?=eyJ[\w-]{40})/g, read: readLeakedJwt, kind: 'token' },
  { begin: /v4\.public\.(?=eyJ[\w-]{40})/g, read: readLeakedPaseto, kind: 'token' },
  { begin: /-----BEGIN (?=(?:[A-Z]+ )?PRIVATE KEY-----|CERTIFICATE-----)/g, read: readPem, kind: 'pem' },
] as const

/** Reads chunks and returns matches in the order of the stream. */
export class Finder {
  #text = ''
  /** The index of the first octet that has not been searched. */
  #from = 0
  #line = 1
  /** Where the first line of the text begins, relative to the text. */
  #lineStart = 0
  /** The index up to which lines have been counted. */
  #counted = 0

  /** Searches the next chunk. */
  read(part: Buffer): Sighting[] {
    this.#text += part.toString('latin1')
    const until = this.#text.length - reach.after
    return until - this.#from < reach.after ? [] : this.#search(until) // small chunks are collected
  }

  /** Searches the rest of the text, which could have been the beginning of a match. */
  end(): Sighting[] {
    return this.#search(this.#text.length)
  }

  #search(until: number): Sighting[] {
    if (until <= this.#from) return []
    const text = this.#text
    const found = patterns
      .flatMap(({ begin, read, kind }) =>
        placesOf(begin, text, this.#from, until).flatMap(at => {
          const one = read(text, at)
          return one === undefined ? [] : [{ kind, at, ...one }]
        }),
      )
      .sort((one, other) => one.at - other.at)
    const sightings = found.map(({ kind, at, start, text: what }) => {
      this.#countLines(at)
      return { kind, text: what, line: this.#line, column: start - this.#lineStart + 1 }
    })
    this.#countLines(until)
    const cut = Math.max(0, until - reach.before)
    this.#text = text.slice(cut)
    this.#from = until - cut
    this.#counted -= cut
    this.#lineStart -= cut
    return sightings
  }

  /** Advances to the line of a place. */
  #countLines(until: number): void {
    for (let end = this.#text.indexOf('\n', this.#counted); end !== -1 && end < until; ) {
      this.#line++
      this.#lineStart = end + 1
      end = this.#text.indexOf('\n', end + 1)
    }
    this.#counted = Math.max(this.#counted, until)
  }
}

function placesOf(begin: RegExp, text: string, from: number, until: number): number[] {
  const places: number[] = []
  begin.lastIndex = from
  for (let match = begin.exec(text); match !== null && match.index < until; match = begin.exec(text))
    places.push(match.index)
  return places
}

/** The checksum distinguishes a token from noise. */
function readOpaque(text: string, at: number): Found | undefined {
  const candidate = text.slice(at, at + opaqueLength)
  return isOpaqueToken(candidate) === undefined ? undefined : { start: at, text: candidate }
}

const opaqueLength = 'tlsbound_at_'.length + 49
