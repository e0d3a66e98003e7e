// Recognizes access tokens that are PASETO by their structure: v4.public, a footer with a PASERK id, and a cnf with a certificate. It
// verifies nothing, because only the issuer can.
import { levelOf } from '../core/access-token.ts'
import { decodePaseto } from '../core/paseto-claims.ts'
import type { Found } from './sighting.ts'

/** The longest token, and a footer, whose length is fixed; any further characters are not part of the token. */
const form = /v4\.public\.[\w-]{86,8192}\.[\w-]{82}/y

/** Reads the token that begins at `at`. */
export function readLeakedPaseto(text: string, at: number): Found | undefined {
  form.lastIndex = at
  const token = form.exec(text)?.[0]
  const claims = token === undefined ? undefined : decodePaseto(token)?.claims
  return token === undefined || levelOf(claims?.cnf) === undefined ? undefined : { start: at, text: token }
}
