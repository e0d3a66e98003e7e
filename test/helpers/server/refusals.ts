// The external form of a refusal, and tables of tokens that must all be refused.
import type { TAP } from 'tap'
import type { ErrorCode, Reason } from '../../../src/core/errors.ts'
import type { TestConnection, TestServer } from '../../../src/testing/server.ts'

type Asserts = Pick<TAP, 'match'>

/** A name for the manipulation, the token, and the reason of its refusal; default `bad_signature`. */
export type Row = readonly [name: string, token: string, reason?: Reason]

/** The pattern of a refusal with status 401. */
export function refusal(reason: Reason, code: ErrorCode = 'invalid_token') {
  return {
    status: 401,
    headers: { 'www-authenticate': new RegExp(`^Bearer error="${code}", error_description="[^"\\\\]+"`) },
    body: { error: code, reason },
  }
}

/** Presents each token to a resource: 401, its reason, and one security event with the same reason (I1, I2, I7). */
export async function refuseEach(
  t: Asserts,
  server: TestServer,
  connection: TestConnection,
  rows: readonly Row[],
): Promise<void> {
  for (const [name, token, reason = 'bad_signature'] of rows) {
    const before = server.events.length
    const answer = await connection.get('/api/whoami', token)
    const [event, ...others] = server.events.slice(before)
    t.match(
      { ...answer, event, others: others.length },
      { ...refusal(reason), event: { event: 'token.refused', outcome: 'refused', reason, status: 401 }, others: 0 },
      name,
    )
  }
}

/** Presents a token of alice on other connections of her and of other clients: each is refused with its reason. */
export async function refuseElsewhere(t: Asserts, server: TestServer, token: string): Promise<void> {
  for (const options of [{}, { ALPNProtocols: ['h2'] }])
    for (const [who, reason] of [
      ['alice', 'connection_mismatch'],
      ['bob', 'certificate_mismatch'],
      ['mallory', 'certificate_mismatch'],
    ] as const)
      await refuseEach(t, server, await server.connect(who, options), [
        [`${who} ${JSON.stringify(options)}`, token, reason],
      ])
}

type Who = Parameters<TestServer['connect']>[0]

/**
 * Connects with a certificate that must be rejected. The handshake may succeed; then every endpoint refuses with the reason,
 * as invalid_client where tokens are issued and as invalid_token where they are used, whatever the token.
 */
export async function refusePresenter(
  t: Asserts,
  server: TestServer,
  who: Who,
  reason: Reason,
  name: string,
  options: Parameters<TestServer['connect']>[1] & { readonly stolen?: string } = {},
): Promise<void> {
  const { stolen = 'e30.e30.e30', ...tls } = options
  const before = server.events.length
  const connect = () => server.connect(who, { clientId: 'alice', ...tls })
  const connection = await connect()
  const look = await connection.get('/binding')
  const issue = await connection.requestToken()
  const second = await connect() // since the refusal has ended the first
  const use = await second.get('/api/whoami', stolen)
  for (const each of [connection, second]) each.close()
  t.match(
    { issue, use, look, events: server.events.slice(before) },
    {
      issue: refusal(reason, 'invalid_client'),
      use: refusal(reason),
      look: { status: 200, body: { certificate: reason === 'no_certificate' ? null : { reason } } },
      events: [
        { event: 'client.refused', reason },
        { event: 'token.refused', reason },
      ],
    },
    name,
  )
}
