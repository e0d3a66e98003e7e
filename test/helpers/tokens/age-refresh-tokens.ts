// Makes the refresh tokens in a PostgreSQL store older, since a test cannot set the clock of a database.
import { Client } from 'pg'

/** Moves all uses of refresh tokens in the schema of `url` this many milliseconds into the past. */
export async function ageRefreshTokens(url: string, milliseconds: number): Promise<void> {
  const client = new Client(url)
  await client.connect()
  try {
    await client.query('UPDATE refresh_tokens SET first_used = first_used - $1', [Math.round(milliseconds)])
  } finally {
    await client.end()
  }
}
