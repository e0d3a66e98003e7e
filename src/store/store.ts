// What the server keeps, as an interface; sqlite.ts is the embedded one. A store that cannot answer throws, and so
// refuses: OAuthError temporarily_unavailable, store_unavailable.

export interface Note {
  readonly id: number
  readonly text: string
  /** Seconds since 1970. */
  readonly created: number
}

export interface Store {
  /** Keeps a note of a client; it is durable when this returns. `created` in seconds since 1970. */
  addNote(clientId: string, text: string, created: number): Note
  /** The newest notes of a client, newest first, at most `limit`. */
  listNotes(clientId: string, limit: number): Note[]
  close(): void
}
