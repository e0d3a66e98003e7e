// All TLS options of a listener, for its start and every reload, because a reload resets omitted options. Their effects were
// measured; RFC 9266 §4.2 and RFC 7627 §5.4 forbid the features that are disabled here.
import { constants, type KeyObject, type X509Certificate } from 'node:crypto'
import type { TlsOptions } from 'node:tls'
import { type CertificateProxy, requireCertificateProxies } from '../core/certificate-proxy.ts'
import { listRule, oneOf, pemRule, type Rules } from '../core/check-options.ts'
import { parseCertificates, parsePrivateKey, parseRevocationLists, renderRevocationList } from '../files/pem.ts'

/** PEM texts, and proxies. */
export interface TlsMaterial {
  /** The server certificate and the intermediate ones, leaf first. */
  readonly cert: string
  readonly key: string
  /** The authorities that are trusted for client certificates; no others are. */
  readonly ca: string
  /** Revocation lists. If there is one, every authority needs one. */
  readonly crl?: string | undefined
  /**
   * The proxies that end TLS for their clients and state whose certificate it was, as in the file of `TLSBOUND_CLIENT_CERT_FROM`.
   * Default: none, and such header fields are ignored.
   */
  readonly clientCertFrom?: readonly object[] | undefined
}

/** The required and the optional members of the material. */
export const materialRules: Rules = { cert: pemRule, key: pemRule, ca: pemRule }
export const optionalMaterialRules: Rules = { crl: pemRule, clientCertFrom: listRule }

/** The parsed material, exactly as it is passed to OpenSSL. */
export interface ParsedMaterial {
  /** The server certificate, then the intermediate ones. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]]
  readonly key: KeyObject
  readonly authorities: readonly X509Certificate[]
  /** In DER. */
  readonly lists: readonly Buffer[]
  readonly proxies: readonly CertificateProxy[]
}

const minimumVersions = ['TLSv1.2', 'TLSv1.3'] as const

export type MinimumVersion = (typeof minimumVersions)[number]

export const minimumVersionRule = oneOf(minimumVersions)

/**
 * Parses the material of a listener.
 * @throws FileProblem naming the option if a text is invalid; Error if the key does not belong to the certificate, or a proxy is
 * invalid.
 */
export function parseMaterial({ cert, key, ca, crl, clientCertFrom }: TlsMaterial): ParsedMaterial {
  const parse = (pem: string, option: string) => parseCertificates(pem, option).map(({ x509 }) => x509)
  const [certificate, ...between] = parse(cert, 'cert')
  const privateKey = parsePrivateKey(key, 'key', {})
  // Node accepts empty strings, and would then fail in each handshake.
  if (certificate?.checkPrivateKey(privateKey) !== true)
    throw new Error('the private key does not belong to the certificate')
  return {
    chain: [certificate, ...between],
    key: privateKey,
    authorities: parse(ca, 'ca'),
    lists: crl === undefined ? [] : parseRevocationLists(crl, 'crl').map(({ der }) => der),
    proxies: requireCertificateProxies(clientCertFrom),
  }
}

/**
 * Builds the options for `tls.createServer` and `setSecureContext`. Certificates and lists are rendered one by one, because OpenSSL
 * silently stops at the first invalid line of a bundle, and Node uses only the first list.
 */
export function buildTlsOptions(material: ParsedMaterial, minVersion: MinimumVersion): TlsOptions {
  const { chain, key, authorities, lists } = material
  return {
    cert: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    ca: authorities.map(String), // without it, Node would trust the public roots for clients
    ...(lists.length > 0 && { crl: lists.map(renderRevocationList) }),
    minVersion,
    maxVersion: 'TLSv1.3',
    ciphers,
    // A renegotiation could change the certificate and the bindings of an open connection. A resumed connection would have a
    // certificate without proof of its key, and without a new validation.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false, // evaluate-certificate.ts decides, so that a refusal contains the reason
  }
}

/** The TLS 1.3 suites in the order of OpenSSL, and the TLS 1.2 suites with forward secrecy and authenticated encryption. */
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
