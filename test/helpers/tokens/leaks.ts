// Reports of leaked tokens: signed by a reporter with a known key, or sent by an authorized client; and what a refused report
// must not change.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TAP } from 'tap'
import type { ErrorCode, Reason } from '../../../src/core/errors.ts'
import type { Answer, TestConnection, TestServer } from '../../../src/testing/server.ts'
import { contentsOf } from './grants.ts'

export const keyIdentifier = 'github-public-key-identifier'
export const keySignature = 'github-public-key-signature'

export interface SigningReporter {
  readonly identifier: string
  readonly publicPem: string
  /** The signature over a body, DER in base64. */
  sign(body: string | Buffer, digest?: string): string
}

export function makeReporter(identifier = 'reporter-1', curve = 'prime256v1'): SigningReporter {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve })
  return {
    identifier,
    publicPem: pemOf(publicKey),
    sign: (body, digest = 'sha256') => sign(digest, Buffer.from(body), privateKey).toString('base64'),
  }
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString()
}

/** A document in the form that GitHub publishes. */
export function publicKeys(...reporters: readonly Pick<SigningReporter, 'identifier' | 'publicPem'>[]): string {
  const keys = reporters.map(({ identifier, publicPem }) => ({
    key_identifier: identifier,
    key: publicPem,
    is_current: true,
  }))
  return JSON.stringify({ public_keys: keys })
}

/** Writes a document of keys into a folder; returns the setting with its path. */
export function trustReporters(folder: string, document: string): { TLSBOUND_LEAK_KEYS_FILE: string } {
  const file = join(folder, 'leak-keys.json')
  writeFileSync(file, document)
  return { TLSBOUND_LEAK_KEYS_FILE: file }
}

type Headers = Readonly<Record<string, string | string[]>>

/** Sends a body as a report, with these headers in addition to its content type. */
export function send(connection: TestConnection, body: string, headers: Headers = {}, token?: string): Promise<Answer> {
  return connection.call('/leaks', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    ...(token !== undefined && { token }),
  })
}

export function signatureHeaders({ identifier, sign }: SigningReporter, body: string): Record<string, string> {
  return { [keyIdentifier]: identifier, [keySignature]: sign(body) }
}

export function sendSigned(connection: TestConnection, reporter: SigningReporter, body: string): Promise<Answer> {
  return send(connection, body, signatureHeaders(reporter, body))
}

/** An entry in the form of GitHub. */
export function entry(token: string, changes: object = {}): object {
  return { token, type: 'tlsbound_token', url: 'https://git.example/a/b/blob/c/.env', source: 'content', ...changes }
}

export function reportOf(...tokens: readonly string[]): string {
  return JSON.stringify(tokens.map(token => entry(token)))
}

export const accepted = { status: 204, text: '', headers: { 'cache-control': 'no-store' } }

/** Returns the tokens that have leaked, by the events from `since` on. */
export function leaksOf(server: TestServer, since = 0): readonly object[] {
  return server.events.slice(since).filter(({ event }) => event === 'token.leaked')
}

export interface Refused {
  readonly status: number
  readonly error: ErrorCode
  readonly reason: Reason
}

/** Checks that a report is refused: one event with the reason, no part of it in any output, and an unchanged store. */
export async function refuseReport(
  t: Pick<TAP, 'match' | 'same' | 'equal'>,
  server: TestServer,
  name: string,
  meet: () => Promise<Answer>,
  { status, error, reason }: Refused,
): Promise<void> {
  const [before, since] = [await contentsOf(server.store), server.events.length]
  const answer = await meet()
  t.match(answer, { status, body: { error, reason }, headers: { 'cache-control': 'no-store' } }, name)
  const event = error === 'invalid_client' ? 'client.refused' : 'token.refused'
  t.match(server.events.slice(since), [{ event, outcome: 'refused', reason, status, path: '/leaks' }], name)
  t.equal(server.events.length, since + 1, `${name}: one event`)
  t.same(await contentsOf(server.store), before, `${name}: nothing has changed`)
}
