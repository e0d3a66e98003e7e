// Verifies the signature of a revocation list when it is loaded, to report an invalid list. OpenSSL verifies it only in each
// handshake, and then rejects every client of the authority.
import { constants, type KeyObject, verify } from 'node:crypto'
import { readElements } from './der.ts'
import { readObjectIdentifier } from './object-identifier.ts'
import type { ListSignature } from './revocation-list.ts'

/** `unknown`: the algorithm is not supported here, so OpenSSL decides in the handshake. */
export type SignatureVerdict = 'valid' | 'invalid' | 'unknown'

/** Verifies the signature of a list. Never throws. */
export function verifyListSignature({ algorithm, signed, value }: ListSignature, key: KeyObject): SignatureVerdict {
  try {
    const method = readMethod(algorithm)
    if (method === undefined) return 'unknown'
    const { digest = null, keyTypes, ...options } = method
    if (!keyTypes.includes(`${key.asymmetricKeyType}`)) return 'invalid'
    return verify(digest, signed, { key, ...options }, value) ? 'valid' : 'invalid'
  } catch {
    return 'unknown'
  }
}

interface Method {
  readonly keyTypes: readonly string[]
  readonly digest?: string
  readonly padding?: number
  readonly saltLength?: number
}

/** Parses the content of an AlgorithmIdentifier. Returns undefined for an unknown algorithm. */
function readMethod(algorithm: Buffer): Method | undefined {
  const [id, parameters] = readElements(algorithm)
  const name = readObjectIdentifier(id?.content ?? Buffer.alloc(0))
  return name === rsassaPss ? readPss(parameters?.content) : methods.get(name)
}

/** Parses RSASSA-PSS-params (RFC 4055 §3.1). Returns undefined unless both digests are the same. */
function readPss(parameters: Buffer | undefined): Method | undefined {
  const members = readElements(parameters ?? Buffer.alloc(0))
  const inside = (tag: number) => members.find(member => member.tag === tag)?.content
  const digestOf = (identifier: Buffer | undefined) =>
    identifier === undefined ? 'sha1' : digests.get(readObjectIdentifier(readElements(identifier)[0]?.content ?? none))
  const sequenceOf = (content: Buffer | undefined) => content && readElements(content)[0]?.content
  const mask = sequenceOf(inside(0xa1))
  const digest = digestOf(sequenceOf(inside(0xa0)))
  if (digest === undefined || digest !== digestOf(mask && readElements(mask)[1]?.content)) return undefined
  const salt = inside(0xa2)
  const saltLength = salt === undefined ? 20 : (readElements(salt)[0]?.content.at(-1) ?? 0)
  return { keyTypes: ['rsa', 'rsa-pss'], digest, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
}

const none = Buffer.alloc(0)
const rsassaPss = '1.2.840.113549.1.1.10'

const sha2 = ['sha256', 'sha384', 'sha512', 'sha224'] as const
const sha3 = ['sha3-224', 'sha3-256', 'sha3-384', 'sha3-512'] as const

/** 2.16.840.1.101.3.4.2 and RFC 4055 §2.1. */
const digests = new Map<string, string>([
  ['1.3.14.3.2.26', 'sha1'],
  ...sha2.map((digest, at) => [`2.16.840.1.101.3.4.2.${at + 1}`, digest] as const),
])

const nist = '2.16.840.1.101.3.4.3'
const rows: readonly (readonly [id: string, keyType: string, digest?: string])[] = [
  ['1.2.840.113549.1.1.4', 'rsa', 'md5'],
  ['1.2.840.113549.1.1.5', 'rsa', 'sha1'],
  ...sha2.map((digest, at) => [`1.2.840.113549.1.1.${at + 11}`, 'rsa', digest] as const), // RFC 4055 §5
  ...sha3.map((digest, at) => [`${nist}.${at + 13}`, 'rsa', digest] as const),
  ['1.2.840.10045.4.1', 'ec', 'sha1'],
  ...(['sha224', 'sha256', 'sha384', 'sha512'] as const).map(
    (digest, at) => [`1.2.840.10045.4.3.${at + 1}`, 'ec', digest] as const, // RFC 5758 §3.2
  ),
  ...sha3.map((digest, at) => [`${nist}.${at + 9}`, 'ec', digest] as const),
  ['1.2.840.10040.4.3', 'dsa', 'sha1'],
  ...(['sha224', 'sha256', 'sha384', 'sha512'] as const).map(
    (digest, at) => [`${nist}.${at + 1}`, 'dsa', digest] as const, // RFC 5758 §3.1
  ),
  ['1.3.101.112', 'ed25519'],
  ['1.3.101.113', 'ed448'],
  ...[44, 65, 87].map((set, at) => [`${nist}.${at + 17}`, `ml-dsa-${set}`] as const), // RFC 9881 §2
  ...['sha2', 'shake']
    .flatMap(hash => ['128s', '128f', '192s', '192f', '256s', '256f'].map(set => `slh-dsa-${hash}-${set}`))
    .map((keyType, at) => [`${nist}.${at + 20}`, keyType] as const), // RFC 9909 §3
]
const methods = new Map<string, Method>(
  rows.map(([id, keyType, digest]) => [id, { keyTypes: [keyType], ...(digest !== undefined && { digest }) }]),
)
