// The authorities of most entries of the corpus, and functions that create entries for client certificates.
import { sign } from 'node:crypto'
import { type Authority, buildAuthority, buildCertificate, type Order, type Parts, pemOf } from './certificate.ts'
import { commonName } from './der.ts'
import type { ClientEntry, ClientVerdict, Trust } from './entry.ts'
import { type Key, type KeyName, keyOf } from './keys.ts'

export const root = buildAuthority('corpus root', { key: 'root' })
export const sub = buildAuthority('corpus sub', { key: 'sub', by: root })
export const world: Trust = { ca: root.pem }

/** The DER of a client certificate of the root, or of `by`. */
export function leaf(parts: Partial<Order> = {}): Buffer {
  return buildCertificate({ key: 'P-256', by: root, subject: commonName('alice'), ...parts })
}

export interface Presented {
  readonly chain: readonly Buffer[]
  readonly key?: KeyName | Key
  readonly trust?: Trust
  readonly scheme?: number
  readonly sign?: (content: Buffer) => Buffer
}

/** An entry whose client presents these certificates and owns the key of the first. */
export function present(name: string, presented: Presented, verdict: ClientVerdict): ClientEntry {
  const { chain, trust = world } = presented
  const key = typeof presented.key === 'object' ? presented.key : keyOf(presented.key ?? 'P-256')
  const [scheme, signer] = schemeOf(key)
  return {
    name,
    kind: 'client certificate',
    files: {
      'client.crt': chain.map(pemOf).join(''),
      'client.key': key.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'ca.crt': trust.ca,
      ...(trust.crl !== undefined && { 'crl.pem': trust.crl }),
    },
    trust,
    chain,
    scheme: presented.scheme ?? scheme,
    sign: presented.sign ?? signer,
    verdict,
  }
}

/** Rows of certificates of the root that differ in some parts; accepted by default. */
export type Rows = Readonly<Record<string, Partial<Order> | readonly [Partial<Order>, ClientVerdict]>>

export function presentRows(rows: Rows): ClientEntry[] {
  return Object.entries(rows).map(([name, row]) => {
    const [parts, verdict] = isPair(row) ? row : ([row, 'accepted'] as const)
    return present(name, { chain: [leaf(parts)], ...(parts.key !== undefined && { key: parts.key }) }, verdict)
  })
}

const isPair = (row: Rows[string]): row is readonly [Partial<Order>, ClientVerdict] => Array.isArray(row)

/** A leaf below one or several authorities, each of which the client sends; the last is issued by the root. */
export function below(chain: readonly Authority[], parts: Partial<Order> = {}): Buffer[] {
  return [leaf({ by: chain[0] as Authority, ...parts }), ...chain.map(({ der }) => der)]
}

export const trusting = (...authorities: readonly Authority[]): Trust => ({
  ca: authorities.map(({ pem }) => pem).join(''),
})

export type { Authority, Parts }

/** The SignatureScheme (RFC 8446 §4.2.3) of a key, and its signing function; 0xfe00 if there is none. */
function schemeOf({ privateKey }: Key): readonly [number, (content: Buffer) => Buffer] {
  const {
    namedCurve = '',
    hashAlgorithm = 'sha256',
    modulusLength = 0,
  } = (privateKey.asymmetricKeyDetails ?? {}) as {
    namedCurve?: string
    modulusLength?: number
    hashAlgorithm?: string
  }
  const digest = (name: string, scheme: number) =>
    [scheme, (content: Buffer) => sign(name, content, privateKey)] as const
  const pure = (scheme: number) => [scheme, (content: Buffer) => sign(null, content, privateKey)] as const
  switch (privateKey.asymmetricKeyType) {
    case 'ec':
      if (namedCurve === 'secp384r1') return digest('sha384', 0x0503)
      if (namedCurve === 'secp521r1') return digest('sha512', 0x0603)
      if (namedCurve === 'brainpoolP256r1') return digest('sha256', 0x081a)
      if (namedCurve === 'brainpoolP384r1') return digest('sha384', 0x081b)
      if (namedCurve === 'brainpoolP512r1') return digest('sha512', 0x081c)
      return digest('sha256', 0x0403)
    case 'rsa':
      return [
        0x0804,
        content =>
          modulusLength < 1024 // too short for such a signature
            ? Buffer.alloc(modulusLength / 8)
            : sign('sha256', content, { key: privateKey, padding: 6, saltLength: 32 }), // RSA_PKCS1_PSS_PADDING
      ]
    case 'rsa-pss':
      return hashAlgorithm === 'sha512'
        ? [0x080b, content => sign('sha512', content, { key: privateKey, saltLength: 64 })]
        : [0x0809, content => sign('sha256', content, { key: privateKey, saltLength: 32 })]
    case 'ed25519':
      return pure(0x0807)
    case 'ed448':
      return pure(0x0808)
    case 'ml-dsa-44':
      return pure(0x0904)
    case 'ml-dsa-65':
      return pure(0x0905)
    case 'ml-dsa-87':
      return pure(0x0906)
    case 'dsa':
      return digest('sha256', 0x0402)
    default:
      return [0xfe00, () => Buffer.alloc(64)]
  }
}
