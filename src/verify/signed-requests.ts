// Verifies the signature of a request on its connection: once per nonce, and its body with it.
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { requireOwnConnection } from '../core/confirmation.ts'
import { OAuthError } from '../core/errors.ts'
import { joinFieldValues } from '../core/http-signature.ts'
import type { Presenter } from '../core/presenter.ts'
import { type SignedRequest, verifySignedRequest } from '../core/signed-request.ts'
import type { Connection } from '../tls/connection.ts'
import { guardContent, requireEmptyContent } from './content-guard.ts'
import { targetOf, useOnce } from './proofs.ts'

type Request = IncomingMessage | Http2ServerRequest

/** Requests whose signature was verified: two demands of one request, such as of nested middleware, need one nonce. */
const verified = new WeakSet<object>()

/**
 * Verifies the signature of a request, at `now` in seconds since 1970. Its body is verified on its way to its reader.
 * @throws OAuthError `signature_missing`, `signature_invalid` or `digest_invalid`; `connection_mismatch` behind a proxy that ends
 * TLS.
 */
export function requireSignature(request: Request, connection: Connection, now: number): void {
  if (verified.has(request)) return
  const presenter = connection.presenter as Presenter
  requireOwnConnection(presenter)
  const signed = toSignedRequest(request)
  const { nonce, digests } = verifySignedRequest(signed, presenter, now)
  const refuse = (detail: 'used_already' | 'too_many', limit?: number) =>
    new OAuthError('invalid_signature', 'signature_invalid', detail, { limit })
  useOnce(`nonce ${nonce}`, connection, now, refuse) // the space keeps it apart from the ids of proofs
  if (digests !== undefined) {
    if (!signed.hasBody) requireEmptyContent(digests)
    else if ((request as IncomingMessage & { upgrade?: boolean | null }).upgrade === true)
      throw new OAuthError('invalid_signature', 'digest_invalid', 'upgrade') // the reader of the upgraded connection gets the body
    else guardContent(request, digests)
  }
  verified.add(request)
}

function toSignedRequest(request: Request): SignedRequest {
  const { headers, method = '' } = request
  let fields: Map<string, string[]> | undefined
  return {
    method,
    authority: (headers[':authority'] as string | undefined) ?? headers.host ?? '',
    target: targetOf(request),
    hasBody: hasBody(request),
    field(name) {
      fields ??= collectFields(request.rawHeaders)
      return joinFieldValues(fields.get(name) ?? [])
    },
  }
}

/** From the raw fields, because `headers` drops the second of some fields. */
function collectFields(rawHeaders: readonly string[]): Map<string, string[]> {
  const fields = new Map<string, string[]>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    const values = fields.get(name)
    if (values === undefined) fields.set(name, [rawHeaders[at + 1] as string])
    else values.push(rawHeaders[at + 1] as string)
  }
  return fields
}

/** Returns whether a request has a body, which can be empty: one whose end its head does not tell. */
function hasBody(request: Request): boolean {
  if (request.httpVersionMajor === 2) return !(request as Http2ServerRequest).stream.endAfterHeaders
  const { 'transfer-encoding': coding, 'content-length': length } = request.headers
  return coding !== undefined || (length !== undefined && length !== '0')
}
