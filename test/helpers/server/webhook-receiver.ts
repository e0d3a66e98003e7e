// A receiver of webhooks for tests: real HTTPS on a free port of 127.0.0.1, which stores requests and answers as configured.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecurityEvent } from '../../../src/audit/event.ts'
import type { KnownReceiver } from '../../../src/notify/line.ts'
import { parseReceivers } from '../../../src/notify/receiver.ts'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'

export interface Delivered {
  readonly headers: IncomingHttpHeaders
  /** The raw body. */
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
  readonly json: any
}

export interface WebhookReceiver {
  readonly port: number
  readonly url: string
  readonly ca: string
  /** The requests so far, whatever their responses. */
  readonly delivered: readonly Delivered[]
  /** The responses to the next requests. Default: 204. */
  answer(respond: (response: ServerResponse, request: IncomingMessage) => void): void
  /** An entry of the list of webhooks, and its parsed form. */
  entry(other?: object): object
  known(other?: object): KnownReceiver
}

export const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const authority = issueCertificate({ subject: [['CN', 'receivers']], ca: true })

/** A certificate for such a receiver, or an invalid one. */
export function receiverIdentity(order: Partial<Parameters<typeof issueCertificate>[0]> = {}): Identity {
  const altNames = [{ dns: 'localhost' }, { ip: '127.0.0.1' }]
  return issueCertificate({ subject: [['CN', 'receiver']], issuer: authority, altNames, ...order })
}

const usual = receiverIdentity()

/** Starts a receiver that ends with the test. */
export async function startReceiver(
  t: { teardown(end: () => unknown): void },
  { identity = usual, port: wanted = 0 }: { identity?: Identity; port?: number } = {},
): Promise<WebhookReceiver> {
  const delivered: Delivered[] = []
  let respond: Parameters<WebhookReceiver['answer']>[0] = response => response.writeHead(204).end()
  const server = createServer({ cert: identity.certificate, key: identity.key }, async (request, response) => {
    request.on('error', () => {})
    response.on('error', () => {})
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    delivered.push({ headers: request.headers, body, json: JSON.parse(body) })
    respond(response, request)
  })
  server.on('clientError', () => {})
  await new Promise<void>(listening => server.listen(wanted, '127.0.0.1', listening))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const url = `https://127.0.0.1:${port}/hook`
  const entry = (other: object = {}) => ({ url, secret, allow_internal: true, ...other })
  return {
    port,
    url,
    ca: authority.certificate,
    delivered,
    entry,
    answer(how) {
      respond = how
    },
    known: (other = {}) => readKnown(entry(other), authority.certificate),
  }
}

/** Parses a receiver from the list. @throws Error with every problem. */
export function readKnown(entry: object, ca: string | undefined): KnownReceiver {
  const problems: string[] = []
  const [receiver] = parseReceivers([entry], problems)
  if (receiver === undefined) throw new Error(problems.join('\n'))
  return { ...receiver, ca }
}

/** The event of a theft, as the server creates it. */
export function theft(facts: object = {}): SecurityEvent {
  return {
    time: '2026-11-24T14:00:00.000Z',
    event: 'theft.suspected',
    outcome: 'unknown',
    client_id: 'alice',
    jti: 'jti-1',
    reason: 'connection_mismatch',
    signal: 'token.refused',
    response: 'revoke_grant',
    ...facts,
  }
}
