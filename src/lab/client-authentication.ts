// How a client authenticates at the token endpoint: by its certificate (RFC 8705 §2), or by a secret, while tokens are
// bound to the certificate (RFC 8705 §3, RFC 6749 §2.3.1). Names of RFC 7591 §2.
import type { Call } from './connection.ts'

export const clientAuthentications = [
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'client_secret_basic',
  'client_secret_post',
] as const

export type ClientAuthentication = (typeof clientAuthentications)[number]

/** The credentials of a request besides its certificate. */
export interface Credentials {
  readonly headers: NonNullable<Call['headers']>
  readonly parameters: Readonly<Record<string, string>>
}

/** Builds the credentials of a client besides its certificate: none without a secret. */
export function buildCredentials(how: ClientAuthentication, clientId: string, secret: string | undefined): Credentials {
  if (secret === undefined) return { headers: {}, parameters: {} }
  if (how === 'client_secret_post') return { headers: {}, parameters: { client_secret: secret } }
  const pair = `${encode(clientId)}:${encode(secret)}`
  return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, parameters: {} }
}

/** Encodes as application/x-www-form-urlencoded, RFC 6749 appendix B. */
function encode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}
