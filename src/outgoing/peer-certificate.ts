// The certificate of a server, in place of the object that Node's TLS client makes of its whole chain after a handshake:
// Node cannot make that object where a key is on a curve without a name of NIST's.
import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import { readCommonNames, readFields } from '../core/certificate-fields.ts'

/**
 * Keeps Node from parsing the chain of a server. Called before the handshake; returns what reads the server's certificate,
 * undefined while there is none. What asks the socket for the peer's certificate gets the names in it, and its DER.
 */
export function protectPeerCertificate(socket: TLSSocket): () => X509Certificate | undefined {
  let certificate: X509Certificate | undefined
  // At a client's end, Node takes the certificate out of the chain with the first call, and has none for the next one.
  const read = () => {
    certificate = TLSSocket.prototype.getPeerX509Certificate.call(socket) ?? certificate
    return certificate
  }
  Object.defineProperty(socket, 'getPeerX509Certificate', { value: read })
  Object.defineProperty(socket, 'getPeerCertificate', { value: () => describe(read()) })
  return read
}

/** As much as Node's own check of the server's name, and a channel binding by the certificate, look at. */
function describe(certificate: X509Certificate | undefined): object {
  if (certificate === undefined) return {}
  const { raw, subjectAltName: subjectaltname } = certificate
  return { raw, subjectaltname, subject: { CN: commonNamesOf(raw) } }
}

function commonNamesOf(certificate: Buffer): string[] {
  try {
    return readCommonNames(readFields(certificate))
  } catch {
    return [] // OpenSSL reads more than strict DER
  }
}
