// What a scan reads, and what it finds there.

/** Something that is read from its beginning to its end. */
export interface Source {
  /** Its path, or a description of it. Final, like `commit` and `date`, when all sources have been read. */
  readonly path: string
  /** Id of the git object that it is. */
  readonly object?: string
  /** The oldest commit that has it, and when that was written (RFC 3339). */
  readonly commit?: string
  readonly date?: string
  readonly parts: AsyncIterable<Buffer>
  /** Called when a token was found in it, so that its place in a history can be looked up. */
  readonly onFound?: () => void
}

/** Where something stands in its source. Both count from 1; columns count octets. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface Sighting extends Position {
  readonly kind: 'token' | 'pem'
  readonly text: string
}

/** What was found at a place of a text; it may begin before that. */
export interface Found {
  readonly start: number
  readonly text: string
}

/** Receives one sentence for each thing that could not be read. */
export type OnProblem = (problem: string) => void
