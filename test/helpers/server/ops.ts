// Requests to the ops listener of a test's server, with headers that HTTP libraries refuse to send.
import { request as httpRequest } from 'node:http'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'
import type { Answer, TestServer } from '../../../src/testing/server.ts'

export interface OpsCall {
  /** Sent as JSON; text is sent unchanged. */
  readonly body?: unknown
  /** Default: the right token and host, and the content type of the body. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>
}

/** Sends one request on a connection of its own. */
export function callOps(
  server: Pick<TestServer, 'ops'>,
  method: string,
  path: string,
  { body, headers = {} }: OpsCall = {},
): Promise<Answer> {
  const { url, token } = server.ops ?? { url: '', token: '' }
  const { hostname, port, host } = new URL(url)
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const all = {
    host,
    authorization: `Bearer ${token}`,
    'content-length': String(Buffer.byteLength(text ?? '')),
    ...(text !== undefined && { 'content-type': 'application/json' }),
    ...headers,
  }
  // As a list, since only a list can repeat a name.
  const list = Object.entries(all).flatMap(([name, value]) => [value ?? []].flat().flatMap(one => [name, one]))
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method, headers: list, agent: false }
    const request = httpRequest(options, async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk)
      const received = Buffer.concat(chunks).toString()
      const answer = { status: response.statusCode as number, headers: response.headers, text: received }
      resolve({ ...answer, body: parse(received) })
    })
    request.on('error', reject).end(text)
  })
}

/** The address of a client. */
export function at(id: string, rest = ''): string {
  return `/admin/clients/${encodeURIComponent(id)}${rest}`
}

/** A registration by common name, with refresh tokens and both bindings. */
export function registrationOf(id: string, more: object = {}): object {
  return {
    client_id: id,
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: `CN=${id}`,
    scope: 'notes:read notes:write',
    grant_types: ['client_credentials', 'refresh_token'],
    token_bindings: ['certificate', 'connection'],
    ...more,
  }
}

/** Another certificate of the test's authority. */
export function identityOf(server: Pick<TestServer, 'pki'>, name: string): Identity {
  return issueCertificate({ issuer: server.pki.ca, subject: [['CN', name]], extendedKeyUsage: ['clientAuth'] })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
