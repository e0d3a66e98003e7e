// The metadata of an issuer (RFC 8414): its URL, its verification, and the endpoints in it.
import type { Dispatcher } from 'undici'
import { parseHttpsUrl } from '../core/https-url.ts'
import { parseDocument, requireDocument } from '../outgoing/document.ts'
import { OutgoingError, quote } from '../outgoing/failure.ts'
import { readDocument } from './read-document.ts'

export type Metadata = Readonly<Record<string, unknown>>

/** Returns the URL of an issuer's metadata (RFC 8414 §3.1). */
export function metadataUrl(issuer: string): URL {
  const { origin, pathname } = new URL(issuer)
  return new URL(`/.well-known/oauth-authorization-server${pathname.replace(/\/$/, '')}`, origin)
}

/** Fetches the metadata of an issuer through a dispatcher. @throws OutgoingError (rejects). */
export async function fetchMetadata(dispatcher: Dispatcher, issuer: string): Promise<Metadata> {
  const url = metadataUrl(issuer)
  const request = { method: 'GET', headers: { accept: 'application/json' } } as const
  const { status, headers, octets } = await readDocument(dispatcher, url, request)
  requireDocument(url.href, status, headers)
  return verifyMetadata(parseDocument(url.href, headers, octets), issuer)
}

/**
 * Verifies that a document is the metadata of this issuer, compared octet by octet (RFC 8414 §3.3).
 * @throws OutgoingError `unexpected_content`.
 */
export function verifyMetadata(document: unknown, issuer: string): Metadata {
  const metadata = (document ?? {}) as Metadata
  if (metadata.issuer === issuer) return metadata
  const found =
    metadata.issuer === undefined ? 'names no issuer' : `is that of ${quote(JSON.stringify(metadata.issuer))}`
  const finding = `the document ${found}, not of the issuer ${issuer}; set the issuer exactly as it names itself`
  throw new OutgoingError('unexpected_content', metadataUrl(issuer).href, finding)
}

/** Returns an endpoint of the metadata. @throws OutgoingError `unexpected_content` for an invalid address. */
export function endpointOf(metadata: Metadata, name: string): URL {
  const address = metadata[name]
  const url = parseHttpsUrl(address)
  if (url !== undefined) return url
  const found = address === undefined ? 'is missing' : `is ${quote(JSON.stringify(address))}`
  const finding = `${name} in the metadata of the issuer ${found}; it must be an https URL without user information`
  throw new OutgoingError('unexpected_content', metadataUrl(String(metadata.issuer)).href, finding)
}

/** Returns the token endpoint for mutual TLS (RFC 8705 §5). @throws OutgoingError `unexpected_content`. */
export function tokenEndpointOf(metadata: Metadata): URL {
  return endpointOf({ ...metadata, ...(metadata.mtls_endpoint_aliases as object | null | undefined) }, 'token_endpoint')
}
