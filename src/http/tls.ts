// All TLS options of a listener, for its start and for every reload: what is not given again would be lost.
// Which of them matter and why was measured; RFC 9266 §4.2 and RFC 7627 §5.4 forbid what is switched off here.
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { splitPem } from './trust.ts'

/** PEM texts. */
export interface TlsMaterial {
  /** The server's certificate and the intermediate ones, leaf first. */
  readonly cert: string
  readonly key: string
  /** The authorities that client certificates are trusted from; no others are. */
  readonly ca: string
  /** Revocation lists; once there is one, every authority in use needs one. */
  readonly crl?: string | undefined
}

export type MinimumVersion = 'TLSv1.2' | 'TLSv1.3'

/** Builds what `tls.createServer` and `setSecureContext` take. @throws Error when a text does not hold what it should. */
export function buildTlsOptions(material: TlsMaterial, minVersion: MinimumVersion): TlsOptions {
  const lists = readRevocationLists(material)
  // Node would take empty texts, and fail at each handshake.
  if (!new X509Certificate(material.cert).checkPrivateKey(createPrivateKey(material.key)))
    throw new Error('the private key is not that of the certificate')
  return {
    cert: material.cert,
    key: material.key,
    ca: material.ca, // without it Node would trust the public roots, for clients
    ...(lists.length > 0 && { crl: lists }),
    minVersion,
    maxVersion: 'TLSv1.3',
    ciphers,
    // A renegotiation could change the certificate and the bindings of a live connection. A resumed connection would
    // carry a certificate without its key and without a new look at its validity.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false, // judged in trust.ts, so that a refusal can say why
  }
}

/** The revocation lists as separate texts: of several in one, Node loads the first only. */
export function readRevocationLists({ crl }: TlsMaterial): string[] {
  if (crl === undefined) return []
  return splitPem(crl, 'X509 CRL')
}

/** TLS 1.3's suites in OpenSSL's order, and for TLS 1.2 those with forward secrecy and authenticated encryption. */
const ciphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')
