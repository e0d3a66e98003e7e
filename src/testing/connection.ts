// One TLS connection of a test's client. It never reconnects: a second connection is a second object, so that a test
// reads like the threat that it covers.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { buildBindingProof, hashToken, type ProofClaims } from '../core/binding-proof.ts'
import { readKeyingMaterial } from '../core/channel-binding.ts'
import { readCertificate } from '../core/presenter.ts'
import { type Answer, type Connection, openConnection as open } from '../lab/connection.ts'

export type { Answer, Call } from '../lab/connection.ts'

import type { ConnectTlsOptions } from '../outgoing/connect.ts'

export interface TestConnection extends Connection {
  /** Sends GET with a token and a binding proof, where given. */
  get(path: string, token?: string, proof?: string): Promise<Answer>
  /** POST /oauth/token with these parameters and grant_type client_credentials. */
  requestToken(parameters?: Readonly<Record<string, string>>): Promise<Answer>
  /** The access token of such a request. Rejects when none was issued. */
  token(parameters?: Readonly<Record<string, string>>): Promise<string>
  /** Builds a binding proof for a token on this connection; `claims` override the valid ones. */
  prove(token: string, claims?: Partial<ProofClaims>): string
}

/** Opens a connection. `clientId` is the default of token requests; `now` in seconds since 1970. */
export async function openConnection(
  options: ConnectTlsOptions,
  clientId: string,
  now: () => number = () => Math.floor(Date.now() / 1000),
): Promise<TestConnection> {
  const connection = await open(options)
  const { socket, call } = connection

  const requestToken = (parameters: Readonly<Record<string, string>> = {}) => {
    const form = { grant_type: 'client_credentials', client_id: clientId, ...parameters }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return call('/oauth/token', { method: 'POST', headers, body: new URLSearchParams(form).toString() })
  }
  return {
    ...connection,
    requestToken,
    get: (path, token, proof) =>
      call(path, { ...(token !== undefined && { token }), ...(proof !== undefined && { proof }) }),
    token: async parameters => {
      const { body, text } = await requestToken(parameters)
      if (typeof body?.access_token !== 'string') throw new Error(`no token was issued: ${text}`)
      return body.access_token
    },
    prove(token, claims) {
      const { cert, key } = options as { cert: string; key: string }
      const { thumbprint } = readCertificate(new X509Certificate(cert))
      const right = { ath: hashToken(token), ekm: readKeyingMaterial(socket) ?? 'none', iat: now() }
      return buildBindingProof({ ...right, ...claims }, createPrivateKey(key), thumbprint)
    },
  }
}
