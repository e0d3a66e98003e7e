// Further certificates for the lab, of the authority whose key is at hand: renewed ones, and others of the same subject.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { NotTried } from '../../lab/attempt.ts'
import type { Cast, CertificateWish, Identity } from '../../lab/cast.ts'
import { issueCertificate } from '../../pki/certificate.ts'
import { type DistinguishedName, distinguishedName } from '../../pki/names.ts'

const day = 86_400_000

/** Makes an issuer of client certificates, which throws NotTried for a subject that it cannot write. */
export function createIssuer(authority: X509Certificate, privateKey: KeyObject): NonNullable<Cast['issue']> {
  const { publicKey } = authority
  const certificate = authority.toString()
  return ({ like, sameKey = false, notAfter }: CertificateWish): Identity => {
    const issued = issueCertificate({
      subject: readName(new X509Certificate(like.certificate).subject),
      issuer: { subject: readName(authority.subject), x509: authority, certificate, key: '', privateKey, publicKey },
      extendedKeyUsage: ['clientAuth'],
      ...(sameKey && { keyPair: { privateKey: createPrivateKey(like.key), publicKey: createPublicKey(like.key) } }),
      ...(notAfter !== undefined && { notAfter, notBefore: new Date(notAfter.getTime() - day) }),
    })
    return { certificate: issued.certificate, key: issued.key, clientId: like.clientId }
  }
}

/** A name as Node spells it, one attribute a line; names with several attributes in a part are beyond us. */
function readName(text: string): DistinguishedName {
  const name = text.split('\n').map(readAttribute)
  try {
    distinguishedName(name) // does not know every type of attribute
    return name
  } catch {
    throw new NotTried(`no certificate can be issued for or by ${JSON.stringify(text)}`)
  }
}

/** `TYPE=VALUE`, where RFC 4514 §2.4 puts a backslash before some characters. Octets in hexadecimal are beyond us. */
function readAttribute(line: string): DistinguishedName[number] {
  const [, type, value] = /^(\w+)=((?:[^\\+]|\\[^\dA-Fa-f])+)$/.exec(line) ?? []
  return [type, value?.replace(/\\(.)/g, '$1')] as unknown as DistinguishedName[number]
}
