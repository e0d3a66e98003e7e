// All TLS options of a listener, for its start and for every reload: what is not given again would be lost.
// Which of them matter and why was measured; RFC 9266 §4.2 and RFC 7627 §5.4 forbid what is switched off here.
import { constants, type KeyObject, type X509Certificate } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { parseCertificates, parsePrivateKey, parseRevocationLists, renderRevocationList } from '../files/pem.ts'

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

/** The same, parsed: what is counted here is what OpenSSL gets. */
export interface ParsedMaterial {
  /** The server's certificate, then the intermediate ones. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]]
  readonly key: KeyObject
  readonly authorities: readonly X509Certificate[]
  /** In DER. */
  readonly lists: readonly Buffer[]
}

export type MinimumVersion = 'TLSv1.2' | 'TLSv1.3'

/**
 * Parses what a listener is given.
 * @throws FileProblem, naming the option, when a text does not hold what it should; Error when key and certificate differ.
 */
export function parseMaterial({ cert, key, ca, crl }: TlsMaterial): ParsedMaterial {
  const parse = (pem: string, option: string) => parseCertificates(pem, option).map(({ x509 }) => x509)
  const [certificate, ...between] = parse(cert, 'cert')
  const privateKey = parsePrivateKey(key, 'key', {})
  // Node would take empty texts, and fail at each handshake.
  if (certificate?.checkPrivateKey(privateKey) !== true)
    throw new Error('the private key is not that of the certificate')
  return {
    chain: [certificate, ...between],
    key: privateKey,
    authorities: parse(ca, 'ca'),
    lists: crl === undefined ? [] : parseRevocationLists(crl, 'crl').map(({ der }) => der),
  }
}

/**
 * Builds what `tls.createServer` and `setSecureContext` take. Certificates and lists are written anew, one by one: of a bundle
 * OpenSSL stops in silence at the first line that it does not like, and Node takes the first list only.
 */
export function buildTlsOptions(material: ParsedMaterial, minVersion: MinimumVersion): TlsOptions {
  const { chain, key, authorities, lists } = material
  return {
    cert: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    ca: authorities.map(String), // without it Node would trust the public roots, for clients
    ...(lists.length > 0 && { crl: lists.map(renderRevocationList) }),
    minVersion,
    maxVersion: 'TLSv1.3',
    ciphers,
    // A renegotiation could change the certificate and the bindings of a live connection. A resumed connection would
    // carry a certificate without its key and without a new look at its validity.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false, // evaluated in evaluate-certificate.ts, so that a refusal can say why
  }
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
