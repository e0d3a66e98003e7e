// Builds certificates from parts, each of which an entry of the corpus can replace by arbitrary octets.
import { bits, boolean, commonName, context, implicit, integer, octets, oid, pem, sequence, time } from './der.ts'
import {
  type Algorithm,
  algorithmOf,
  type Key,
  type KeyName,
  keyIdentifier,
  keyOf,
  publicKeyInfo,
  signatureBits,
} from './keys.ts'

export const now = Date.now()
export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const DAY = 24 * 60 * MINUTE
/** A time relative to now. */
export const from = (milliseconds: number) => time(new Date(now + milliseconds))

/** An authority of the corpus: its name and its key sign, whatever its certificate contains. */
export interface Authority {
  readonly name: Buffer
  readonly key: Key
  /** The subject key identifier, which its issued certificates refer to. */
  readonly identifier: Buffer
  readonly der: Buffer
  readonly pem: string
}

/** The parts of a certificate; a text is the name of a key or algorithm. */
export interface Parts {
  /** Default: version 3. null: none, which is version 1. */
  readonly version?: Buffer | null
  readonly serial?: Buffer
  /** The algorithm in the signed part. Default: the one of the signature. */
  readonly innerAlgorithm?: Buffer
  readonly outerAlgorithm?: Buffer
  readonly issuer?: Buffer
  readonly notBefore?: Buffer
  readonly notAfter?: Buffer
  readonly subject?: Buffer
  readonly publicKeyInfo?: Buffer
  /** Default: those of a leaf, or of an authority. null: no extensions at all. */
  readonly extensions?: readonly Buffer[] | null
  /** Appended to the default extensions, or to `extensions`. */
  readonly more?: readonly Buffer[]
  /** Default extensions that are omitted, or replaced by `more`. */
  readonly without?: readonly ExtensionName[]
  readonly sign?: (content: Buffer) => Buffer
  /** Changes the whole signed part before it is signed. */
  readonly content?: (content: Buffer) => Buffer
}

export interface Order extends Parts {
  readonly key: Key | KeyName
  /** undefined: the key signs its own certificate. */
  readonly by?: Pick<Authority, 'name' | 'key' | 'identifier'>
  readonly algorithm?: Algorithm
  readonly isAuthority?: boolean
}

const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  inhibitAnyPolicy: '2.5.29.54',
  noRevocationAvailable: '2.5.29.56',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ipAddressBlocks: '1.3.6.1.5.5.7.1.7',
  proxyCertificate: '1.3.6.1.5.5.7.1.14',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
  netscapeCertificateType: '2.16.840.1.113730.1.1',
  unknown: '1.3.6.1.4.1.99999.1',
} as const

export type ExtensionName = keyof typeof extensionIds

/** Wraps a value of arbitrary octets in an extension. */
export function extension(name: ExtensionName, value: Buffer, critical = false): Buffer {
  return sequence(oid(extensionIds[name]), critical ? boolean() : undefined, octets(value))
}

export const purposes = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  any: '2.5.29.37.0',
  unknown: '1.3.6.1.4.1.99999.3',
} as const

export const extendedKeyUsage = (allowed: readonly (keyof typeof purposes)[], critical = false) =>
  extension('extendedKeyUsage', sequence(...allowed.map(purpose => oid(purposes[purpose]))), critical)

const usages = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
  encipherOnly: 7,
} as const

export function keyUsage(allowed: readonly (keyof typeof usages)[], critical = true): Buffer {
  const octet = allowed.reduce((sum, usage) => sum | (0x80 >> usages[usage]), 0)
  const unused = octet === 0 ? 0 : 31 - Math.clz32(octet & -octet)
  return extension('keyUsage', octet === 0 ? bits(Buffer.alloc(0)) : bits(Buffer.from([octet]), unused), critical)
}

export const basicConstraints = (ca: boolean, pathLength?: number | Buffer, critical = true) =>
  extension(
    'basicConstraints',
    sequence(ca ? boolean() : undefined, pathLength === undefined ? undefined : integer(pathLength)),
    critical,
  )

export const subjectKeyIdentifier = (identifier: Buffer) => extension('subjectKeyIdentifier', octets(identifier))

export const authorityKeyIdentifier = (key: Buffer | undefined, issuer?: { name: Buffer; serial: Buffer }) =>
  extension(
    'authorityKeyIdentifier',
    sequence(
      key && implicit(0, key),
      issuer && context(1, context(4, issuer.name)),
      issuer && implicit(2, issuer.serial),
    ),
  )

/** GeneralNames, RFC 5280 §4.2.1.6. */
export const generalName = {
  other: (type: string, value: Buffer) => context(0, oid(type), context(0, value)),
  email: (text: string | Buffer) => implicit(1, text),
  dns: (text: string | Buffer) => implicit(2, text),
  x400: (content: Buffer) => context(3, content),
  directory: (name: Buffer) => context(4, name),
  ediParty: (content: Buffer) => context(5, content),
  uri: (text: string | Buffer) => implicit(6, text),
  ip: (...address: number[]) => implicit(7, Buffer.from(address)),
  registeredId: (id: string) => implicit(8, oid(id).subarray(2)),
}

export const subjectAltName = (names: readonly Buffer[], critical = false) =>
  extension('subjectAltName', sequence(...names), critical)

/** The permitted or excluded names of an authority: GeneralNames, each as a subtree. */
export function nameConstraints(
  permitted: readonly Buffer[],
  excluded: readonly Buffer[] = [],
  critical = true,
): Buffer {
  const subtrees = (tag: number, names: readonly Buffer[]) =>
    names.length === 0 ? undefined : context(tag, ...names.map(name => sequence(name)))
  return extension('nameConstraints', sequence(subtrees(0, permitted), subtrees(1, excluded)), critical)
}

let serials = 1

/** Returns a serial number that is unique in this process. */
export const nextSerial = (): Buffer => integer(0x0100_0000 + serials++)

/** Builds the DER of a certificate. */
export function buildCertificate(order: Order): Buffer {
  const key = typeof order.key === 'string' ? keyOf(order.key) : order.key
  const info = order.publicKeyInfo ?? publicKeyInfo(key)
  const subject = order.subject ?? commonName('someone')
  const by = order.by ?? { name: subject, key, identifier: keyIdentifier(info) }
  const algorithm = order.algorithm ?? algorithmOf(by.key)
  const extensions = [...extensionsOf(order, info, by.identifier), ...(order.more ?? [])]
  const parts = sequence(
    order.version === null ? undefined : (order.version ?? context(0, integer(2))),
    order.serial ?? nextSerial(),
    order.innerAlgorithm ?? algorithm.identifier,
    order.issuer ?? by.name,
    sequence(order.notBefore ?? from(-DAY), order.notAfter ?? from(400 * DAY)),
    subject,
    info,
    order.extensions === null ? undefined : context(3, sequence(...extensions)),
  )
  const content = order.content?.(parts) ?? parts
  const signature = order.sign?.(content) ?? signatureBits(algorithm, content, by.key)
  return sequence(content, order.outerAlgorithm ?? algorithm.identifier, signature)
}

function extensionsOf(
  { extensions, isAuthority = false, without = [] }: Order,
  info: Buffer,
  issuer: Buffer,
): readonly Buffer[] {
  if (extensions !== undefined) return extensions ?? []
  const all: readonly (readonly [ExtensionName, Buffer])[] = [
    ...(isAuthority ? ([['basicConstraints', basicConstraints(true)]] as const) : []),
    ['keyUsage', isAuthority ? keyUsage(['keyCertSign', 'cRLSign']) : keyUsage(['digitalSignature'])],
    ...(isAuthority ? [] : ([['extendedKeyUsage', extendedKeyUsage(['clientAuth'])]] as const)),
    ['subjectKeyIdentifier', subjectKeyIdentifier(keyIdentifier(info))],
    ['authorityKeyIdentifier', authorityKeyIdentifier(issuer)],
  ]
  return all.filter(([name]) => !without.includes(name)).map(([, value]) => value)
}

/** Builds an authority, self-signed unless an issuer is given. */
export function buildAuthority(name: string | Buffer, order: Omit<Order, 'subject'>): Authority {
  const subject = typeof name === 'string' ? commonName(name) : name
  const key = typeof order.key === 'string' ? keyOf(order.key) : order.key
  const der = buildCertificate({ isAuthority: true, ...order, subject })
  const identifier = keyIdentifier(order.publicKeyInfo ?? publicKeyInfo(key))
  return { name: subject, key, identifier, der, pem: pemOf(der) }
}

export const pemOf = (der: Buffer): string => pem('CERTIFICATE', der)
