// Chains of a root, an intermediate authority and a server, one of which has an unusual key.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  X509Certificate,
} from 'node:crypto'
import { readSequence } from '../../../src/core/der.ts'
import { type Identity, issueCertificate } from '../../../src/pki/certificate.ts'
import type { KeyPair } from '../../../src/pki/signing.ts'
import { openssl } from '../../pki/openssl.ts'

export type Position = 'server' | 'intermediate' | 'root'

export interface Chain {
  /** Such as `brainpoolP256r1 as intermediate`. */
  readonly name: string
  readonly kind: string
  readonly position: Position
  /** The certificates that the server sends, PEM. */
  readonly certificate: string
  readonly key: string
  /** The root, PEM. */
  readonly ca: string
}

/** A key pair that signs certificates, or a signing function where node:crypto has none. */
interface Signer {
  readonly keyPair: KeyPair
  readonly resign?: (certificate: string) => string
}

const curve = (namedCurve: string) => () => ({ keyPair: generateKeyPairSync('ec', { namedCurve }) })

/** Kinds of keys, each generated anew. */
export const kinds: Readonly<Record<string, () => Signer>> = {
  'P-256': curve('P-256'),
  brainpoolP256r1: curve('brainpoolP256r1'),
  secp256k1: curve('secp256k1'),
  brainpoolP384r1: curve('brainpoolP384r1'),
  brainpoolP512t1: curve('brainpoolP512t1'),
  secp224k1: curve('secp224k1'),
  sect283k1: curve('sect283k1'),
  'P-256 with explicit parameters': () => ({ keyPair: explicit('prime256v1') }),
  'brainpoolP256r1 with explicit parameters': () => ({ keyPair: explicit('brainpoolP256r1') }),
  Ed448: () => ({ keyPair: generateKeyPairSync('ed448', {}) }),
  'RSA-PSS': () => ({
    keyPair: generateKeyPairSync('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: 'sha256',
      mgf1HashAlgorithm: 'sha256',
      saltLength: 32 as never, // a number, despite the types
    }),
  }),
  DSA: () => ({ keyPair: generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }) }),
  'ML-DSA-65': () => ({ keyPair: generateKeyPairSync('ml-dsa-65', {}) }),
  'RSA of 16384 bits': () => largeRsa(16),
  'RSA of 17408 bits': () => largeRsa(17),
}

/** Builds the chain with a key of this kind at this position; the others are on P-256. */
export function buildChain(kind: string, position: Position): Chain {
  const signerOf = (place: Position) => (kinds[place === position ? kind : 'P-256'] as () => Signer)()
  const signers = { root: signerOf('root'), intermediate: signerOf('intermediate'), server: signerOf('server') }
  const root = issue('root', signers.root, undefined)
  const intermediate = issue('intermediate', signers.intermediate, { identity: root, signer: signers.root })
  const server = issue('server', signers.server, { identity: intermediate, signer: signers.intermediate })
  return {
    name: `${kind} as ${position}`,
    kind,
    position,
    certificate: server.certificate + intermediate.certificate,
    key: server.key,
    ca: root.certificate,
  }
}

/** Whether a server can use a key of this kind. */
export function canServe(kind: string): boolean {
  return !/^RSA of/.test(kind)
}

function issue(
  name: Position,
  { keyPair, resign }: Signer,
  issuer: { readonly identity: Identity; readonly signer: Signer } | undefined,
): Identity {
  const isServer = name === 'server'
  const identity = issueCertificate({
    subject: [['CN', `${name} of an unusual chain`]],
    keyPair,
    ca: !isServer,
    ...(isServer && { altNames: [{ dns: 'localhost' }], extendedKeyUsage: ['serverAuth'] }),
    ...(issuer !== undefined && { issuer: issuer.identity }),
  })
  const sign = issuer === undefined ? resign : issuer.signer.resign
  return sign === undefined ? identity : { ...identity, certificate: sign(identity.certificate) }
}

/** A key with explicit curve parameters, which RFC 5480 §2.1.1 forbids. */
function explicit(name: string): KeyPair {
  const { ok, output } = openssl({}, 'ecparam', '-name', name, '-param_enc', 'explicit', '-genkey', '-noout')
  if (!ok) throw new Error(output)
  const privateKey = createPrivateKey(output)
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

/**
 * An RSA key with this many primes of 1024 bits each, which OpenSSL would take minutes to generate. It signs certificates,
 * but not as an object of node:crypto, so certificates are issued with another key and signed again.
 */
function largeRsa(count: number): Signer {
  while (primes.length < count) primes.push(generatePrimeSync(1024, { bigint: true }))
  const factors = primes.slice(0, count)
  const modulus = factors.reduce((product, prime) => product * prime)
  const n = Buffer.from(modulus.toString(16), 'hex').toString('base64url')
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n, e: 'AQAB' } })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { keyPair: { privateKey, publicKey }, resign: certificate => resign(certificate, factors, modulus) }
}

const primes: bigint[] = []

/** RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.1), prime by prime. */
function resign(certificate: string, factors: readonly bigint[], modulus: bigint): string {
  const der = new X509Certificate(certificate).raw
  const [signed, algorithm] = readSequence(der).map(({ tag, content }) => toDer(tag, content)) as [Buffer, Buffer]
  const length = modulus.toString(16).length / 2
  const digestInfo = Buffer.from('3031300d060960864801650304020105000420', 'hex')
  const tail = Buffer.concat([Buffer.of(0), digestInfo, createHash('sha256').update(signed).digest()])
  const padded = Buffer.concat([Buffer.of(0, 1), Buffer.alloc(length - 2 - tail.length, 255), tail])
  const message = BigInt(`0x${padded.toString('hex')}`)
  let signature = 0n
  let product = 1n
  for (const prime of factors) {
    const part = power(message % prime, inverse(65537n, prime - 1n), prime)
    signature += product * (((((part - signature) % prime) + prime) * inverse(product % prime, prime)) % prime)
    product *= prime
  }
  const octets = Buffer.from(signature.toString(16).padStart(length * 2, '0'), 'hex')
  const anew = toDer(0x30, Buffer.concat([signed, algorithm, toDer(0x03, Buffer.concat([Buffer.of(0), octets]))]))
  return new X509Certificate(anew).toString()
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [modulus, value, 0n, 1n]
  while (b > 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y]
  return ((x % modulus) + modulus) % modulus
}

function toDer(tag: number, content: Buffer): Buffer {
  const size = content.length.toString(16)
  const length = Buffer.from(size.length % 2 === 0 ? size : `0${size}`, 'hex')
  const head = content.length < 128 ? Buffer.of(tag, content.length) : Buffer.of(tag, 0x80 + length.length, ...length)
  return Buffer.concat([head, content])
}
