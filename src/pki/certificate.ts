// Issues X.509 certificates (RFC 5280 §4.1) for the demo, the tests and the bench, including invalid ones on request.
// It does not validate its input, and it never reads a certificate that other software made.

import type { KeyObject } from 'node:crypto'
import { randomBytes, X509Certificate } from 'node:crypto'
import type { Der } from './der.ts'
import { context, integer, publicKeyInfo, sequence, time } from './der.ts'
import type { AuthorityKey, KeyUsage, Purpose } from './extensions.ts'
import * as extension from './extensions.ts'
import type { AltName, DistinguishedName } from './names.ts'
import { distinguishedName } from './names.ts'
import type { Digest, KeyPair, KeyType } from './signing.ts'
import { buildSigned, generateKeyPair, keyIdentifier } from './signing.ts'

/** A certificate and its key, also as objects of node:crypto. */
export type Identity = {
  /** The requested subject, so that an issuer's certificate need not be parsed for its name. */
  readonly subject: DistinguishedName
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS#8, not encrypted. */
  readonly key: string
  readonly x509: X509Certificate
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** The certificate to issue: `{ subject: [['CN', 'carol']], issuer: server.pki.ca, extendedKeyUsage: ['clientAuth'] }`. */
export type CertificateOrder = {
  readonly subject: DistinguishedName
  /** The issuer. Without one, the certificate is self-signed. */
  readonly issuer?: Identity
  readonly keyType?: KeyType
  /** An existing key pair, to renew its certificate; `keyType` is then ignored. */
  readonly keyPair?: KeyPair
  /** Without it there is no basicConstraints extension. */
  readonly ca?: boolean | { readonly pathLength: number }
  /** Default: a CA signs certificates and lists, others sign handshakes. Empty: no extension. */
  readonly keyUsage?: readonly KeyUsage[]
  /** Absent or empty: no extension, which allows any purpose. */
  readonly extendedKeyUsage?: readonly Purpose[]
  readonly altNames?: readonly AltName[]
  /** The DNS subtrees that constrain a CA. */
  readonly permittedDns?: readonly string[]
  /** URIs of revocation lists, one distribution point each. */
  readonly distributionPoints?: readonly string[]
  /** Default: the key's. null: no extension. */
  readonly subjectKeyIdentifier?: Buffer | null
  /** Default: the issuer key's. null: no extension. */
  readonly authorityKeyIdentifier?: AuthorityKey | null
  /** Further extensions, written unchanged. */
  readonly extensions?: readonly Der[]
  /** Default: random. */
  readonly serial?: bigint
  /** Default: a minute ago. */
  readonly notBefore?: Date
  /** Default: in 30 days. */
  readonly notAfter?: Date
  readonly digest?: Digest
}

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** Issues the requested certificate, by default for a new key. */
export function issueCertificate(order: CertificateOrder): Identity {
  const { subject, notBefore = new Date(Date.now() - MINUTE), notAfter = new Date(Date.now() + 30 * DAY) } = order
  const { privateKey, publicKey } = order.keyPair ?? generateKeyPair(order.keyType ?? 'ec')
  const issuer = order.issuer ?? { subject, privateKey, publicKey }

  const der = buildSigned(issuer.privateKey, order.digest ?? 'sha256', algorithm =>
    sequence([
      context(0, [integer(2)]), // version 3
      order.serial === undefined ? serialNumber() : integer(order.serial),
      algorithm,
      distinguishedName(issuer.subject),
      sequence([time(notBefore), time(notAfter)]),
      distinguishedName(subject),
      publicKeyInfo(publicKey),
      context(3, [sequence(extensions(order, publicKey, issuer.publicKey))]),
    ]),
  )
  const x509 = new X509Certificate(der)
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { subject, certificate: x509.toString(), key, x509, privateKey, publicKey }
}

/** 16 octets. The first is 01, so that the number is positive, nonzero, and of constant length. */
function serialNumber(): Der {
  return integer(BigInt(`0x01${randomBytes(15).toString('hex')}`))
}

function extensions(order: CertificateOrder, key: KeyObject, issuerKey: KeyObject): (Der | undefined)[] {
  const { subject, ca = false, extendedKeyUsage = [], altNames = [], permittedDns = [] } = order
  const { distributionPoints = [], keyUsage = ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'] } = order
  const { subjectKeyIdentifier = keyIdentifier(key) } = order
  const { authorityKeyIdentifier = { key: keyIdentifier(issuerKey) } } = order
  return [
    ca ? extension.basicConstraints(ca === true ? undefined : ca.pathLength) : undefined,
    keyUsage.length > 0 ? extension.keyUsage(keyUsage) : undefined,
    extendedKeyUsage.length > 0 ? extension.extendedKeyUsage(extendedKeyUsage) : undefined,
    altNames.length > 0 ? extension.subjectAltName(altNames, subject.length === 0) : undefined,
    permittedDns.length > 0 ? extension.nameConstraints(permittedDns) : undefined,
    distributionPoints.length > 0 ? extension.crlDistributionPoints(distributionPoints) : undefined,
    subjectKeyIdentifier === null ? undefined : extension.subjectKeyIdentifier(subjectKeyIdentifier),
    authorityKeyIdentifier === null ? undefined : extension.authorityKeyIdentifier(authorityKeyIdentifier),
    ...(order.extensions ?? []),
  ]
}
