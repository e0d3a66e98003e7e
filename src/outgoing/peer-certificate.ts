// Reads a server's certificate without the legacy object that Node's TLS client makes of its whole chain: Node crashes
// on a key on a curve without a NIST name.
import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import { readCommonNames, readFields } from '../core/certificate-fields.ts'

/**
 * Stops Node from parsing the chain of a server. Call it before the handshake. Returns a function that reads the
 * server's certificate, undefined while there is none. Reading the peer's certificate from the socket gives its names
 * and DER.
 */
export function protectPeerCertificate(socket: TLSSocket): () => X509Certificate | undefined {
  let certificate: X509Certificate | undefined
  // On a client's socket, Node removes the certificate from the chain on the first call.
  const read = () => {
    certificate = TLSSocket.prototype.getPeerX509Certificate.call(socket) ?? certificate
    return certificate
  }
  Object.defineProperty(socket, 'getPeerX509Certificate', { value: read })
  Object.defineProperty(socket, 'getPeerCertificate', { value: () => describe(read()) })
  return read
}

/** The members that Node's own name check and certificate channel bindings read. */
function describe(certificate: X509Certificate | undefined): object {
  if (certificate === undefined) return {}
  const { raw, subjectAltName: subjectaltname } = certificate
  return { raw, subjectaltname, subject: { CN: commonNamesOf(raw) } }
}

function commonNamesOf(certificate: Buffer): string[] {
  try {
    return readCommonNames(readFields(certificate))
  } catch {
    return [] // OpenSSL accepts more than strict DER
  }
}
