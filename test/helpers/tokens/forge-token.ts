// Tokens made by hand with node:crypto: any header, claims and signature, by the issuer's own key or another. The
// confirmation is computed at the client's end of the connection, independently of the server.
import {
  constants,
  createHash,
  createHmac,
  createPrivateKey,
  type KeyObject,
  sign as signBytes,
  X509Certificate,
} from 'node:crypto'
import type { Algorithm, TokenJwk } from '../../../src/keys/token-keys.ts'
import type { TestConnection, TestServer } from '../../../src/testing/server.ts'

/** The default issuer and audience of startTestServer. */
export const issuer = 'https://localhost:8443'

type Signer = (input: Buffer, key: KeyObject) => Buffer

const ecdsa =
  (digest: string): Signer =>
  (input, key) =>
    signBytes(digest, input, { key, dsaEncoding: 'ieee-p1363' })
const rsa =
  (digest: string, padding = constants.RSA_PKCS1_PADDING): Signer =>
  (input, key) =>
    signBytes(digest, input, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST })

/** Signatures by their name in JOSE (RFC 7518 §3.1), including those that a server must reject. */
export const signers = {
  ES256: (input, key) => withLowS(ecdsa('sha256')(input, key)),
  ES384: ecdsa('sha384'),
  ES512: ecdsa('sha512'),
  EdDSA: (input, key) => signBytes(null, input, key),
  RS256: rsa('sha256'),
  RS1: rsa('sha1'),
  RS512: rsa('sha512'),
  PS256: rsa('sha256', constants.RSA_PKCS1_PSS_PADDING),
} satisfies Record<string, Signer>

/** base64url of bytes, of a text, or of anything else as JSON. */
export function encode(value: unknown): string {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return bytes.toString('base64url')
}

export interface Forgery {
  /** The signing key; its `alg` is used unless there is a `signer`. */
  readonly jwk: TokenJwk
  readonly header?: unknown
  readonly claims: unknown
  readonly signer?: Signer
}

/** Builds a token of these parts. By default it has the issuer's header. */
export function forgeToken({
  jwk,
  header = headerOf(jwk),
  claims,
  signer = signers[jwk.alg as Algorithm],
}: Forgery): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${encode(signer(Buffer.from(input), createPrivateKey({ key: jwk, format: 'jwk' })))}`
}

/** A token whose signature is an HMAC with `secret`. */
export function forgeHmacToken(header: object, claims: unknown, secret: string | Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export function headerOf(jwk: TokenJwk): { typ: string; alg: string; kid: string } {
  return { typ: 'at+jwt', alg: jwk.alg, kid: jwk.kid }
}

/** The claims of a valid token for a connection, at level connection. */
export function claimsFor(connection: TestConnection, server: Pick<TestServer, 'clock'>, clientId = 'alice') {
  return {
    iss: issuer,
    sub: clientId,
    aud: issuer,
    client_id: clientId,
    scope: 'notes:read notes:write',
    iat: server.clock,
    exp: server.clock + 300,
    jti: 'forged',
    cnf: confirmationOf(connection),
  }
}

/** The matching `cnf` of a TLS 1.3 connection, computed by its client (RFC 8705 §3.1, RFC 9266 §2). */
export function confirmationOf({ socket }: TestConnection): Record<string, string> {
  const certificate = socket.getCertificate() as { raw?: Buffer } | null
  if (certificate?.raw === undefined || socket.getProtocol() !== 'TLSv1.3') throw new Error('no TLS 1.3 client here')
  const exported = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
  return { 'x5t#S256': thumbprint(new X509Certificate(certificate.raw).raw), 'tls-exporter#S256': thumbprint(exported) }
}

export function thumbprint(bytes: Buffer | string, digest = 'sha256'): string {
  return createHash(digest).update(bytes).digest('base64url')
}

/** The order of P-256 (SEC 2 §2.4.2). */
export const p256Order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

export function withLowS(signature: Buffer): Buffer {
  const s = BigInt(`0x${signature.toString('hex', 32)}`)
  return s > p256Order / 2n ? withOtherS(signature) : signature
}

/** (r, s) → (r, n − s), which is valid for the same text. */
export function withOtherS(signature: Buffer): Buffer {
  const s = p256Order - BigInt(`0x${signature.toString('hex', 32)}`)
  return Buffer.concat([signature.subarray(0, 32), numberBytes(s)])
}

export function numberBytes(number: bigint, size = 32): Buffer {
  return Buffer.from(number.toString(16).padStart(2 * size, '0'), 'hex')
}

/** The token with another signature. */
export function withSignature(token: string, signature: Buffer | string): string {
  return `${token.slice(0, token.lastIndexOf('.') + 1)}${typeof signature === 'string' ? signature : encode(signature)}`
}

export function signatureOf(token: string): Buffer {
  return Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
}
