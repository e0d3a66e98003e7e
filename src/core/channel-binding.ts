// A TLS connection → the channel bindings that are defined for it, as SHA-256 thumbprints.
// RFC 9266 §2 (tls-exporter), RFC 5929 §3 (tls-unique), RFC 7627 §5.4 (why TLS 1.2 needs the extended master secret).
import { hash } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { readElements, readSequence } from './der.ts'

/** The channel binding types that exist here, in the order in which they are listed and compared. */
export const bindingTypes = ['tls-exporter', 'tls-unique'] as const

export type BindingType = (typeof bindingTypes)[number]

/** For each type that the connection offers: base64url(SHA-256(channel binding value)), 43 characters. */
export type ChannelBindings = Readonly<Partial<Record<BindingType, string>>>

/** Which end of the connection the socket is. */
export type End = 'server' | 'client'

/** What is needed of a TLSSocket. */
export type BindableSocket = Pick<
  TLSSocket,
  'getProtocol' | 'getSession' | 'isSessionReused' | 'getFinished' | 'getPeerFinished' | 'exportKeyingMaterial'
>

/**
 * Reads the channel bindings of an established connection, the same at both ends: `tls-exporter` on TLS 1.3, both types on
 * TLS 1.2 with the extended master secret, none on anything else. Never throws: what cannot be read is not offered.
 */
export function readChannelBindings(socket: BindableSocket, end: End = 'server'): ChannelBindings {
  try {
    if (!exportsUniqueValues(socket)) return {}
    const exporter = { 'tls-exporter': thumbprint(exportValue(socket, 'EXPORTER-Channel-Binding')) }
    // tls-unique is not defined for TLS 1.3 (RFC 8446 App. C.5), although Node would answer there.
    if (socket.getProtocol() === 'TLSv1.3') return exporter
    const finished = readFirstFinished(socket, end)
    return finished?.length === 12 ? { ...exporter, 'tls-unique': thumbprint(finished) } : {}
  } catch {
    return {} // a connection that is already gone, or a structure we do not know: nothing can be bound or verified
  }
}

/**
 * Reads what a binding proof is made over: 32 octets that both ends of this connection export, in base64url, where the
 * connection offers a channel binding at all (draft-mw-oauth-tls-session-bound-tokens §2.2). A secret: never to be logged.
 */
export function readKeyingMaterial(socket: BindableSocket): string | undefined {
  try {
    return exportsUniqueValues(socket) ? exportValue(socket, proofExporterLabel).toString('base64url') : undefined
  } catch {
    return undefined
  }
}

/** The exporter label of binding proofs, and what `tls_exp` says in a token that needs one. */
export const proofExporterLabel = 'EXPORTER-oauth-tls-session-bound'

/** RFC 9266 §1, RFC 7627 §5.4: only where no two connections can share a master secret. */
function exportsUniqueValues(socket: BindableSocket): boolean {
  const protocol = socket.getProtocol()
  return protocol === 'TLSv1.3' || (protocol === 'TLSv1.2' && hasExtendedMasterSecret(socket))
}

/** 32 octets, with a context that is present and empty: leaving it out gives another value on TLS 1.2 (RFC 9266 §2). */
function exportValue(socket: BindableSocket, label: string): Buffer {
  return socket.exportKeyingMaterial(32, label, Buffer.alloc(0))
}

/** RFC 5929 §3.1: the first Finished message: the client's in a full handshake, the server's in a resumed one. */
function readFirstFinished(socket: BindableSocket, end: End): Buffer | undefined {
  const isOurs = socket.isSessionReused() === (end === 'server')
  return isOurs ? socket.getFinished() : socket.getPeerFinished()
}

/**
 * Whether a TLS 1.2 connection uses the extended master secret (RFC 7627). Without it two connections can share a master
 * secret, and so their exporter. OpenSSL writes the fact into its SSL_SESSION as flags [13], bit 0; absent means no.
 */
export function hasExtendedMasterSecret(socket: Pick<TLSSocket, 'getSession'>): boolean {
  const state = socket.getSession()
  if (state === undefined) return false
  try {
    const flags = readSequence(unwrap(state)).find(element => element.tag === 0xad)
    const integer = flags && readElements(flags.content)[0]
    return integer?.tag === 0x02 && ((integer.content.at(-1) ?? 0) & 1) === 1
  } finally {
    state.fill(0) // it holds the master secret
  }
}

/** At a client's end Node puts the server's name before it: a marker, two octets of length, the name. */
function unwrap(state: Buffer): Buffer {
  const at = clientMarker.length
  if (state.toString('latin1', 0, at) !== clientMarker) return state
  return state.subarray(at + 2 + state.readUInt16BE(at))
}
const clientMarker = '\0nodejs:tls:session:1\0'

function thumbprint(value: Buffer): string {
  return hash('sha256', value, 'base64url')
}
