// Reads the published documents of an issuer over TLS: its metadata (RFC 8414 §3) and its public keys (RFC 7517 §5).
import { connect, type Identity } from '../client/client.ts'
import { type Metadata, metadataUrl, verifyMetadata } from '../client/metadata.ts'
import { readDocument } from '../client/read-document.ts'
import { parseDocument, requireDocument } from '../outgoing/document.ts'
import { fetchJson } from '../outgoing/request.ts'

/** How to connect to an issuer: with or without a client certificate, with given authorities or Node's defaults. */
export type Access =
  | { readonly identity: Identity }
  | { readonly identity?: undefined; readonly ca: string | undefined; readonly trusted?: string | undefined }

/** Reads the metadata of an issuer. @throws Error (rejects) that names the address. */
export async function readMetadata(issuer: string, access: Access): Promise<Metadata> {
  return verifyMetadata(await readJson(metadataUrl(issuer), access), issuer)
}

/** Reads a JSON document over a new connection. @throws Error (rejects) that names the address. */
export async function readJson(url: URL, access: Access): Promise<unknown> {
  if (access.identity === undefined) return fetchJson(url, { ca: access.ca, trusted: access.trusted })
  const channel = await connect(url.origin, access.identity)
  try {
    const { status, headers, octets } = await readDocument(channel.dispatcher, url, { method: 'GET' })
    requireDocument(url.href, status, headers)
    return parseDocument(url.href, headers, octets)
  } finally {
    channel.destroy()
  }
}
