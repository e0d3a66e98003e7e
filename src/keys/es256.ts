// Signs and verifies JWTs with ES256 (RFC 7518 §3.4). Each token has one signature: the one with the lower s.
import type { KeyObject } from 'node:crypto'
import { hasLowS, isCanonical, parseObject, withLowS } from '../core/compact-jws.ts'
import { signEcdsa, verifyEcdsa } from '../core/ecdsa.ts'

export interface Es256 {
  /** Signs claims. `type`: the `typ` of the header, default that of an access token. Requires the private key. */
  sign(claims: object, type?: string): string
  /** Returns the claims; undefined unless this key signed the token. @throws SyntaxError if what it signed is not JSON. */
  verify(token: string): Record<string, unknown> | undefined
}

/** Creates signer and verifier of a key. `headerOf` builds the header for a `typ`. */
export function createEs256(
  headerOf: (type?: string) => object,
  publicKey: KeyObject,
  privateKey: KeyObject | undefined,
): Es256 {
  const header = encode(JSON.stringify(headerOf()))
  return {
    sign(claims, type) {
      const head = type === undefined ? header : encode(JSON.stringify(headerOf(type)))
      const input = `${head}.${encode(JSON.stringify(claims))}`
      const signature = signEcdsa('sha256', Buffer.from(input, 'latin1'), privateKey as KeyObject)
      return `${input}.${withLowS(signature).toString('base64url')}`
    },
    verify(token) {
      const [head = '', payload = '', text = '', ...more] = token.split('.')
      const signature = Buffer.from(text, 'base64url')
      const isEs256 = head === header || parseObject(decode(head))?.alg === 'ES256'
      if (more.length > 0 || !isEs256 || !isCanonical(text) || !hasLowS(signature)) return undefined
      const isSigned = verifyEcdsa('sha256', Buffer.from(`${head}.${payload}`, 'latin1'), publicKey, signature)
      const claims: unknown = isSigned ? JSON.parse(decode(payload)) : undefined
      return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? { ...claims } : undefined
    },
  }
}

const encode = (text: string) => Buffer.from(text).toString('base64url')

const decode = (text: string) => Buffer.from(text, 'base64url').toString()
