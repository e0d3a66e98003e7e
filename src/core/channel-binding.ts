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

/** What is needed of a server-side TLSSocket. */
export type BindableSocket = Pick<
  TLSSocket,
  'getProtocol' | 'getSession' | 'isSessionReused' | 'getFinished' | 'getPeerFinished' | 'exportKeyingMaterial'
>

/**
 * Reads the channel bindings of an established server-side connection: `tls-exporter` on TLS 1.3, both types on TLS 1.2
 * with the extended master secret, none on anything else. Never throws: what cannot be read is not offered.
 */
export function readChannelBindings(socket: BindableSocket): ChannelBindings {
  try {
    const protocol = socket.getProtocol()
    // tls-unique is not defined for TLS 1.3 (RFC 8446 App. C.5), although Node would answer there.
    if (protocol === 'TLSv1.3') return { 'tls-exporter': thumbprint(readExporter(socket)) }
    if (protocol === 'TLSv1.2' && hasExtendedMasterSecret(socket)) {
      const finished = readFirstFinished(socket)
      if (finished?.length === 12)
        return { 'tls-exporter': thumbprint(readExporter(socket)), 'tls-unique': thumbprint(finished) }
    }
  } catch {
    // A connection that is already gone, or a structure we do not know: no binding, so nothing can be bound or verified.
  }
  return {}
}

/** RFC 9266 §2: the label, 32 octets, and a context that is present and empty (leaving it out differs on TLS 1.2). */
function readExporter(socket: BindableSocket): Buffer {
  return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
}

/** RFC 5929 §3.1: the first Finished message: the client's in a full handshake, the server's in a resumed one. */
function readFirstFinished(socket: BindableSocket): Buffer | undefined {
  return socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished()
}

/**
 * Whether a TLS 1.2 connection uses the extended master secret (RFC 7627). Without it two connections can share a master
 * secret, and so their exporter. OpenSSL writes the fact into its SSL_SESSION as flags [13], bit 0; absent means no.
 */
export function hasExtendedMasterSecret(socket: Pick<TLSSocket, 'getSession'>): boolean {
  const state = socket.getSession()
  if (state === undefined) return false
  try {
    const flags = readSequence(state).find(element => element.tag === 0xad)
    const integer = flags && readElements(flags.content)[0]
    return integer?.tag === 0x02 && ((integer.content.at(-1) ?? 0) & 1) === 1
  } finally {
    state.fill(0) // it holds the master secret
  }
}

function thumbprint(value: Buffer): string {
  return hash('sha256', value, 'base64url')
}
