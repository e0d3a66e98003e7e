// HTTP Message Signatures (RFC 9421): algorithms, signature base, and the fields Signature-Input and Signature. It knows no
// policy; signed-request.ts says what a signature must cover here.
import { constants, type KeyObject, sign, verify } from 'node:crypto'
import { signEcdsa, verifyEcdsa } from './ecdsa.ts'
import {
  byteSequence,
  FieldError,
  type InnerList,
  type Item,
  isInnerList,
  octetsOf,
  type Parameters,
  parseUniqueDictionary,
  serializeDictionary,
  serializeInnerList,
  serializeItem,
} from './structured-fields.ts'
import { trimCharacters } from './trim.ts'

/** The algorithms of RFC 9421 §3.3 for the keys of certificates. */
export type SignatureAlgorithm = 'rsa-pss-sha512' | 'ecdsa-p256-sha256' | 'ecdsa-p384-sha384' | 'ed25519'

/** The key types that can sign requests, for messages. */
export const signatureKeys = 'P-256, P-384, Ed25519, RSA of 2048 bits or more'

/** Returns the algorithm of a key, public or private; undefined for an unsupported key type. */
export function signatureAlgorithmOf({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): SignatureAlgorithm | undefined {
  const { namedCurve, modulusLength = 0 } = asymmetricKeyDetails ?? {}
  switch (asymmetricKeyType) {
    case 'ec':
      if (namedCurve === 'prime256v1') return 'ecdsa-p256-sha256'
      return namedCurve === 'secp384r1' ? 'ecdsa-p384-sha384' : undefined
    case 'ed25519':
      return 'ed25519'
    case 'rsa':
    case 'rsa-pss':
      return modulusLength >= 2048 && allowsSha512(asymmetricKeyDetails) ? 'rsa-pss-sha512' : undefined
    default:
      return undefined
  }
}

/** A key of type id-RSASSA-PSS can be limited to a hash (RFC 4055 §1.2); OpenSSL throws for another one. */
function allowsSha512(details: KeyObject['asymmetricKeyDetails'] = {}): boolean {
  const { hashAlgorithm, mgf1HashAlgorithm, saltLength = 0 } = details
  return [hashAlgorithm, mgf1HashAlgorithm].every(name => name === undefined || name === 'sha512') && saltLength <= 64
}

/** RFC 9421 §3.3.1: a salt of 64 octets. */
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 }

/** Signs a signature base with a private key of the algorithm. */
export function signSignatureBase(algorithm: SignatureAlgorithm, base: Buffer, key: KeyObject): Buffer {
  switch (algorithm) {
    case 'ecdsa-p256-sha256':
      return signEcdsa('sha256', base, key)
    case 'ecdsa-p384-sha384':
      return signEcdsa('sha384', base, key)
    case 'ed25519':
      return sign(undefined, base, key)
    case 'rsa-pss-sha512':
      return sign('sha512', base, { ...pss, key })
  }
}

/** Returns whether a signature is valid for a signature base and a public key of the algorithm. */
export function verifySignatureBase(
  algorithm: SignatureAlgorithm,
  base: Buffer,
  key: KeyObject,
  signature: Buffer,
): boolean {
  switch (algorithm) {
    case 'ecdsa-p256-sha256':
      return verifyEcdsa('sha256', base, key, signature)
    case 'ecdsa-p384-sha384':
      return verifyEcdsa('sha384', base, key, signature)
    case 'ed25519':
      return verify(undefined, base, key, signature)
    case 'rsa-pss-sha512':
      return verify('sha512', base, { ...pss, key }, signature)
  }
}

/** What a signature covers, in order, and its parameters. A component is a string item: its name, and parameters. */
export type CoveredComponents = InnerList

/** A signature of a message, parsed and not verified. */
export interface MessageSignature {
  readonly label: string
  readonly covered: CoveredComponents
  readonly parameters: Parameters
  readonly signature: Buffer
}

/**
 * Parses Signature-Input and Signature, and pairs their members by label. Takes time in proportion to their length.
 * @throws FieldError that names the field.
 */
export function parseSignatures(input: string, signature: string): MessageSignature[] {
  const inputs = parseField('Signature-Input', input)
  const signatures = parseField('Signature', signature)
  if (signatures.size !== inputs.size)
    throw new FieldError(`Signature: ${signatures.size} labels, and ${inputs.size} in Signature-Input`)
  return [...inputs].map(([label, covered]) => {
    if (!isInnerList(covered) || !covered[0].every(isComponent))
      throw new FieldError(`Signature-Input: ${label} is not a list of strings`)
    const octets = octetsOf(signatures.get(label))
    if (octets === undefined) throw new FieldError(`Signature: ${label} is not a byte sequence`)
    return { label, covered, parameters: covered[1], signature: octets }
  })
}

function parseField(name: string, value: string): ReturnType<typeof parseUniqueDictionary> {
  try {
    return parseUniqueDictionary(value)
  } catch (error) {
    throw new FieldError(`${name}: ${(error as Error).message}`)
  }
}

function isComponent([name]: Item): boolean {
  return typeof name === 'string'
}

/** Serialises one signature as the fields Signature-Input and Signature. */
export function formatSignature(
  label: string,
  covered: CoveredComponents,
  signature: Uint8Array,
): { readonly input: string; readonly signature: string } {
  return {
    input: serializeDictionary(new Map([[label, covered]])),
    signature: serializeDictionary(new Map([[label, byteSequence(signature)]])),
  }
}

/**
 * Builds the signature base (RFC 9421 §2.5). `valueOfComponent` returns the value of a component; undefined if the message has none.
 * @throws FieldError for a component that is covered twice, has no value, or one that is not printable ASCII.
 */
export function buildSignatureBase(
  covered: CoveredComponents,
  valueOfComponent: (name: string, parameters: Parameters) => string | undefined,
): Buffer {
  const identifiers = new Set<string>()
  let base = ''
  for (const component of covered[0]) {
    const identifier = serializeItem(component)
    if (identifiers.has(identifier)) throw new FieldError(`${identifier} is covered twice`)
    identifiers.add(identifier)
    const value = valueOfComponent(component[0] as string, component[1])
    if (value === undefined) throw new FieldError(`${identifier} has no value`)
    // A line break would let a value pose as further components.
    if (!/^[\t\x20-\x7e]*$/.test(value)) throw new FieldError(`the value of ${identifier} is not printable ASCII`)
    base += `${identifier}: ${value}\n`
  }
  return Buffer.from(`${base}"@signature-params": ${serializeInnerList(covered)}`, 'latin1')
}

/** The request of which components are derived (RFC 9421 §2.2). */
export interface SignedMessage {
  readonly method: string
  /** Host or `:authority`, as sent. */
  readonly authority: string
  /** The request target as sent: path and query. */
  readonly target: string
  /** Returns the values of a field in lower case, joined by `, `; undefined if it is absent. */
  field(name: string): string | undefined
}

/** Returns the value of a component without parameters; undefined for an absent field or an unknown derived component. */
export function componentValue({ method, authority, target, field }: SignedMessage, name: string): string | undefined {
  if (!name.startsWith('@')) return field(name)
  const query = target.indexOf('?')
  switch (name) {
    case '@method':
      return method
    case '@target-uri':
      return `https://${authority}${target}`
    case '@authority':
      return authority.toLowerCase().replace(/:443$/, '')
    case '@scheme':
      return 'https'
    case '@request-target':
      return target
    case '@path':
      return query === -1 ? target : target.slice(0, query)
    case '@query':
      return query === -1 ? '?' : target.slice(query)
    default:
      return undefined
  }
}

/** Joins the values of a field (RFC 9421 §2.1). */
export function joinFieldValues(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.map(trimWhitespace).join(', ')
}

/** Removes spaces and tabs around a value (RFC 9110 §5.5). */
export function trimWhitespace(value: string): string {
  return trimCharacters(value, ' \t')
}
