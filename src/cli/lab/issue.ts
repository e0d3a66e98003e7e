// Issues further certificates for the lab with the authority's key: renewed ones, and others with the same subject.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { NotTried } from '../../lab/attempt.ts'
import type { Cast, CertificateWish, Identity } from '../../lab/cast.ts'
import { issueCertificate } from '../../pki/certificate.ts'
import { type DistinguishedName, distinguishedName } from '../../pki/names.ts'

const day = 86_400_000

/** Creates an issuer of client certificates, which throws NotTried for an unsupported subject. */
export function createIssuer(authority: X509Certificate, privateKey: KeyObject): NonNullable<Cast['issue']> {
  const { publicKey } = authority
  const certificate = authority.toString()
  return ({ like, sameKey = false, isForged = false, notAfter }: CertificateWish): Identity => {
    const subject = readName(authority.subject)
    const issued = issueCertificate({
      subject: readName(new X509Certificate(like.certificate).subject),
      issuer: isForged
        ? issueCertificate({ subject, ca: true })
        : { subject, x509: authority, certificate, key: '', privateKey, publicKey },
      extendedKeyUsage: ['clientAuth'],
      ...(sameKey && { keyPair: { privateKey: createPrivateKey(like.key), publicKey: createPublicKey(like.key) } }),
      ...(notAfter !== undefined && { notAfter, notBefore: new Date(notAfter.getTime() - day) }),
    })
    return { certificate: issued.certificate, key: issued.key, clientId: like.clientId }
  }
}

/** Parses a name as Node prints it, one attribute per line; multi-valued RDNs are not supported. */
function readName(text: string): DistinguishedName {
  const name = text.split('\n').map(readAttribute)
  try {
    distinguishedName(name) // throws for an unknown attribute type
    return name
  } catch {
    throw new NotTried(`no certificate can be issued for or by ${JSON.stringify(text)}`)
  }
}

/** Parses `TYPE=VALUE` with the escapes of RFC 4514 §2.4; hexadecimal escapes are not supported. */
function readAttribute(line: string): DistinguishedName[number] {
  const [, type, value] = /^(\w+)=((?:[^\\+]|\\[^\dA-Fa-f])+)$/.exec(line) ?? []
  return [type, value?.replace(/\\(.)/g, '$1')] as unknown as DistinguishedName[number]
}
