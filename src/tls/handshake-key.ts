// Whether OpenSSL would verify the signature of a handshake with the key of a certificate. With some malformed keys, anyone can sign, and
// whether the proxy that made the handshake refuses them is unknown.
import type { KeyObject } from 'node:crypto'
import type { CertificateFields } from '../core/certificate-fields.ts'
import { readElements, readSequence } from '../core/der.ts'

/** Curves with a signature scheme of TLS 1.3 (RFC 8446 §4.2.3). */
const curves = ['prime256v1', 'secp384r1', 'secp521r1']

/** Key types with a signature scheme of TLS 1.3, besides RSA and EC. */
const otherTypes = ['ed25519', 'ed448', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']

/** Bits of an RSA key; a longer one takes long to verify with. */
const longestModulus = 8192

/** Returns whether a handshake of TLS 1.3 could be made with this key. The strength of the key is not judged. */
export function isHandshakeKey(key: KeyObject, fields: CertificateFields): boolean {
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: about = {} } = key
  if (type === 'ec') return curves.includes(about.namedCurve ?? '') && isPoint(key)
  if (type !== 'rsa' && type !== 'rsa-pss') return otherTypes.includes(type)
  const { modulusLength = 0, publicExponent = 0n } = about
  const isOrdinary = modulusLength <= longestModulus && publicExponent >= 3n && publicExponent < 2n ** 33n
  return isOrdinary && publicExponent % 2n === 1n && hasOddModulus(fields)
}

/** The point at infinity has no coordinates. */
function isPoint(key: KeyObject): boolean {
  try {
    return key.export({ format: 'jwk' }).x !== undefined
  } catch {
    return false
  }
}

/** RFC 8017 App. A.1.1. @throws RangeError */
function hasOddModulus({ publicKey }: CertificateFields): boolean {
  const bits = readElements(publicKey)[1]?.content ?? Buffer.alloc(0)
  const modulus = readSequence(bits.subarray(1))[0]?.content ?? Buffer.alloc(0)
  const [first = 0x80] = modulus
  return first < 0x80 && ((modulus.at(-1) ?? 0) & 1) === 1
}
