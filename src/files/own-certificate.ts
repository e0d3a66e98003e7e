// Checks the certificate chain that a server presents: its key, its order, and its usage. Clients decide whether they trust it; no
// path is validated here.
import type { KeyObject, X509Certificate } from 'node:crypto'
import { FileProblem } from './file-problem.ts'
import type { CertificateBlock, CertificateBlocks } from './pem.ts'

interface Files {
  readonly certFile: string
  readonly keyFile: string
}

/**
 * Checks that a private key belongs to the first certificate of a chain.
 * @throws FileProblem naming the certificate that the key belongs to, if any.
 */
export function checkKeyOfLeaf(chain: CertificateBlocks, key: KeyObject, { certFile, keyFile }: Files): void {
  const owner = chain.findIndex(({ x509 }) => x509.checkPrivateKey(key))
  if (owner === 0) return
  const block = chain[owner]
  if (block === undefined)
    throw new FileProblem(keyFile, {
      found: `this key does not belong to any certificate in ${certFile}`,
      remedy: 'use the key with which the certificate was requested',
    })
  throw new FileProblem(certFile, {
    position: `line ${block.line}`,
    found: `the certificate of the key in ${keyFile} is not the first one in the file`,
    remedy: 'move it to the top, followed by its issuers',
  })
}

/** Checks the chain that a server presents. @throws FileProblem if clients could not accept it. */
export function checkServerCertificate(chain: CertificateBlocks, key: KeyObject, files: Files): void {
  checkKeyOfLeaf(chain, key, files)
  const [leaf] = chain
  const fail = ({ line }: CertificateBlock, found: string, remedy: string) =>
    new FileProblem(files.certFile, { position: `line ${line}`, found, remedy })
  if (leaf.x509.ca && leaf.x509.subjectAltName === undefined)
    throw fail(leaf, 'this is the certificate of an authority', 'use the server certificate that this authority issued')
  if (!hasTlsSignature(key))
    throw fail(
      leaf,
      `TLS has no signature scheme for this type of key (${describeKey(key)})`,
      'get a certificate for a P-256 key',
    )
  const usages = leaf.x509.keyUsage as readonly string[] | undefined // Node calls the extended key usage `keyUsage`
  if (usages !== undefined && !usages.some(usage => usage === serverAuth || usage === anyUsage)) {
    const found = usages.includes(clientAuth)
      ? 'this certificate is for clients only'
      : 'this certificate is not for servers'
    throw fail(leaf, `${found}: its extended key usage lacks serverAuth`, 'get a server certificate from the authority')
  }
  chain.forEach((block, index) => {
    const before = chain.slice(0, index)
    if (index === 0 || before.some(({ x509 }) => isIssuer(block.x509, x509))) return
    if (chain.slice(index + 1).some(({ x509 }) => isIssuer(block.x509, x509)))
      throw fail(
        block,
        'this certificate is before one that it issued',
        'reorder the file: each issuer after the certificate that it issued',
      )
    throw fail(
      block,
      'this certificate issued none of those before it: an intermediate certificate is missing, or this one belongs to another chain',
      'use the chain as the authority provides it, without other certificates',
    )
  })
}

/** Returns whether TLS has a signature scheme for a key (RFC 8446 §4.2.3, RFC 8734); without one, every handshake fails. */
export function hasTlsSignature({ asymmetricKeyType: kind, asymmetricKeyDetails }: KeyObject): boolean {
  return kind === 'ec' ? curves.includes(`${asymmetricKeyDetails?.namedCurve}`) : kinds.includes(`${kind}`)
}

const kinds = ['rsa', 'rsa-pss', 'ed25519', 'ed448', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']
const curves = [
  ...['prime256v1', 'secp384r1', 'secp521r1'],
  ...['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'],
]

/** Returns the type of a key, or its curve. */
export function describeKey({ asymmetricKeyType: kind, asymmetricKeyDetails }: KeyObject): string {
  return kind === 'ec' ? `${asymmetricKeyDetails?.namedCurve}` : `${kind}`
}

/** Compares name and key identifier, and verifies the signature. */
function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

// RFC 5280 §4.2.1.12
const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'
const anyUsage = '2.5.29.37.0'
