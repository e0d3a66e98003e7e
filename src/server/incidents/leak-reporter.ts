// Authenticates the reporter of leaked tokens: by a known key and a signature over the report on any connection, or as a
// client by its certificate and a token with the required scope. Never both, and never without either.
import type { KeyObject } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { DetailOf, RefusalFacts } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import { isSignedBy } from '../../core/leak-signature.ts'
import { connectionOf } from '../../tls/connection.ts'
import { countHeaders, refuseSecondToken } from '../../verify/bearer.ts'
import type { ServerParts } from '../parts.ts'

/** The scope that a client needs. */
export const reportScope = 'leaks:report'

export interface Reporter {
  /** The `client_id`, or the identifier of the key. */
  readonly by: string
  /** Verifies the body, which is read later. Undefined for a client. */
  readonly signature: { readonly key: KeyObject; readonly value: string } | undefined
}

/** In lower case, as Node reports and this server counts them. */
const headers = { identifier: 'github-public-key-identifier', signature: 'github-public-key-signature' } as const

/**
 * Authenticates the reporter before the report is read.
 * @throws OAuthError (rejects) `report_signature_invalid`, `malformed_request`, or the refusal of the token.
 */
export async function readReporter(
  { raw }: FastifyRequest,
  { leakKeys, verifier }: Pick<ServerParts, 'leakKeys' | 'verifier'>,
): Promise<Reporter> {
  refuseSecondToken(raw)
  const [identifiers, signatures] = Object.values(headers).map(name => countHeaders(raw.rawHeaders, name))
  if (identifiers === 0 && signatures === 0) {
    const { claims, scope } = await verifier.verify(raw, connectionOf(raw))
    if (!scope.includes(reportScope))
      throw new OAuthError('insufficient_scope', 'scope_missing', 'scope', {
        found: scope.join(' '),
        expected: reportScope,
      })
    return { by: claims.client_id, signature: undefined }
  }
  if (identifiers !== 1 || signatures !== 1 || raw.headers.authorization !== undefined)
    throw new OAuthError('invalid_request', 'malformed_request', 'signature_headers')
  const by = raw.headers[headers.identifier] as string
  const key = await leakKeys?.(by)
  if (key === undefined) throw unsigned('unknown_key', { kid: by })
  return { by, signature: { key, value: raw.headers[headers.signature] as string } }
}

/** Verifies the signature of a report if its reporter is known by a key. @throws OAuthError `report_signature_invalid` */
export function verifyReport({ by, signature }: Reporter, body: Buffer): void {
  if (signature !== undefined && !isSignedBy(body, signature.value, signature.key))
    throw unsigned('wrong_signature', { kid: by })
}

function unsigned(detail: DetailOf<'report_signature_invalid'>, facts?: RefusalFacts): OAuthError {
  return new OAuthError('invalid_client', 'report_signature_invalid', detail, facts)
}
