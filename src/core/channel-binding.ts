// Computes the channel bindings of a TLS connection, as SHA-256 thumbprints.
// RFC 9266 §2 (tls-exporter), RFC 5929 §3 (tls-unique), RFC 7627 §5.4 (why TLS 1.2 needs the extended master secret).
import { hash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { readElements, readSequence } from './der.ts'

/** The supported channel binding types, in the order in which they are listed and compared. */
export const bindingTypes = ['tls-exporter', 'tls-unique'] as const

export type BindingType = (typeof bindingTypes)[number]

/** For each type that the connection offers: base64url(SHA-256(channel binding value)), 43 characters. */
export type ChannelBindings = Readonly<Partial<Record<BindingType, string>>>

/** Which end of the connection the socket is. */
export type End = 'server' | 'client'

/** The required methods of a TLSSocket. */
export type BindableSocket = Pick<
  TLSSocket,
  'getProtocol' | 'getSession' | 'isSessionReused' | 'getFinished' | 'getPeerFinished' | 'exportKeyingMaterial'
>

/**
 * Computes the channel bindings of an established connection, which are the same at both ends: `tls-exporter` on TLS 1.3, both
 * types on TLS 1.2 with the extended master secret, otherwise none. Never throws: a binding that cannot be computed is omitted.
 */
export function readChannelBindings(socket: BindableSocket, end: End = 'server'): ChannelBindings {
  try {
    if (!exportsUniqueValues(socket)) return {}
    const exporter = { 'tls-exporter': thumbprint(exportValue(socket, 'EXPORTER-Channel-Binding')) }
    // tls-unique is not defined for TLS 1.3 (RFC 8446 App. C.5), although Node returns a value.
    if (socket.getProtocol() === 'TLSv1.3') return exporter
    const finished = readFirstFinished(socket, end)
    return finished?.length === 12 ? { ...exporter, 'tls-unique': thumbprint(finished) } : {}
  } catch {
    return {} // closed connection or unknown structure: no token can be bound or verified
  }
}

/**
 * Exports the keying material for binding proofs: 32 octets in base64url, the same at both ends. Returns undefined if the
 * connection has no channel binding (draft-mw-oauth-tls-session-bound-tokens §2.2). This is a secret: never log it.
 */
export function readKeyingMaterial(socket: BindableSocket): string | undefined {
  try {
    return exportsUniqueValues(socket) ? exportValue(socket, proofExporterLabel).toString('base64url') : undefined
  } catch {
    return undefined
  }
}

/** The exporter label of binding proofs, and the value of `tls_exp` in a token that requires a proof. */
export const proofExporterLabel = 'EXPORTER-oauth-tls-session-bound'

/** RFC 9266 §1, RFC 7627 §5.4: exported values are unique only if no two connections can share a master secret. */
function exportsUniqueValues(socket: BindableSocket): boolean {
  const protocol = socket.getProtocol()
  return protocol === 'TLSv1.3' || (protocol === 'TLSv1.2' && hasExtendedMasterSecret(socket))
}

/** The context is present and empty: omitting it gives another value on TLS 1.2 (RFC 9266 §2). */
function exportValue(socket: BindableSocket, label: string): Buffer {
  return socket.exportKeyingMaterial(32, label, Buffer.alloc(0))
}

/** RFC 5929 §3.1: the client sends the first Finished message in a full handshake, the server in a resumed one. */
function readFirstFinished(socket: BindableSocket, end: End): Buffer | undefined {
  const isLocal = socket.isSessionReused() === (end === 'server')
  return isLocal ? socket.getFinished() : socket.getPeerFinished()
}

/**
 * Returns whether a TLS 1.2 connection uses the extended master secret (RFC 7627). Without it, two connections can share a
 * master secret, and then exported values. OpenSSL stores this in SSL_SESSION as flags [13], bit 0; absent means no.
 */
export function hasExtendedMasterSecret(socket: Pick<TLSSocket, 'getSession'>): boolean {
  const state = socket.getSession()
  if (state === undefined) return false
  try {
    const flags = readSequence(unwrap(state)).find(element => element.tag === 0xad)
    const integer = flags && readElements(flags.content)[0]
    return integer?.tag === 0x02 && ((integer.content.at(-1) ?? 0) & 1) === 1
  } finally {
    state.fill(0) // contains the master secret
  }
}

/** In a client, Node prepends the server name: a marker, two octets of length, the name. */
function unwrap(state: Buffer): Buffer {
  const at = clientMarker.length
  if (state.toString('latin1', 0, at) !== clientMarker) return state
  return state.subarray(at + 2 + state.readUInt16BE(at))
}
const clientMarker = '\0nodejs:tls:session:1\0'

function thumbprint(value: Buffer): string {
  return hash('sha256', value, 'base64url')
}
