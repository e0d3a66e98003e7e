// The sources of a scan, and the places of its findings.

/** A source that is read sequentially. */
export interface Source {
  /** Its path, or a description of it. Final, like `commit` and `date`, after all sources have been read. */
  readonly path: string
  /** The id of its git object. */
  readonly object?: string
  /** The oldest commit that contains it, and its date (RFC 3339). */
  readonly commit?: string
  readonly date?: string
  readonly parts: AsyncIterable<Buffer>
  /** Called when a token was found in it, so that its place in the history is determined. */
  readonly onFound?: () => void
}

/** A place in a source. Both count from 1; columns count octets. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface Sighting extends Position {
  readonly kind: 'token' | 'pem'
  readonly text: string
}

/** A finding at a place of a text; it may begin before that. */
export interface Found {
  readonly start: number
  readonly text: string
}

/** Receives one sentence for each unreadable item. */
export type OnProblem = (problem: string) => void
