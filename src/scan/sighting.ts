// What a scan looks at, and what it sees there.

/** Something that is read from its beginning to its end. */
export interface Source {
  /** Its path, or what stands for one. */
  readonly path: string
  /** Where it is of a repository's history: the oldest commit with it, and when that was written (RFC 3339). */
  readonly commit?: string
  readonly date?: string
  readonly parts: AsyncIterable<Buffer>
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

/** Told, in one sentence each, of what could not be looked at. */
export type OnProblem = (problem: string) => void
