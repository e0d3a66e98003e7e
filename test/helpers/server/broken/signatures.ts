// Faults in the verification of signatures: the token decides how, and by which key, it is verified (RFC 8725 §2.1, §3.10).
import { createHmac, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { parseObject } from '../../../../src/core/compact-jws.ts'
import { forgeToken } from '../../tokens/forge-token.ts'
import type { Asker, Fault } from '../broken-server.ts'
import { take, tokenOf } from './requests.ts'

interface Parts {
  readonly header: Record<string, unknown>
  readonly claims: Record<string, unknown>
  readonly input: string
  readonly signature: Buffer
}

/** Accepts a token as its own if `isGood` returns true. */
function signWhere(isGood: (parts: Parts, asker: Asker) => boolean): Fault {
  return {
    asked: asker => {
      const parts = read(tokenOf(asker.request) ?? '')
      if (parts === undefined || !isGood(parts, asker)) return
      // With a new id, which was never revoked.
      const claims = { ...parts.claims, jti: `as ${parts.claims.jti}` }
      take(asker, forgeToken({ jwk: asker.server.signingKey, claims }))
    },
  }
}

function read(token: string): Parts | undefined {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const [header, claims] = [head, payload].map(part => parseObject(Buffer.from(part, 'base64url').toString()))
  if (header === undefined || claims === undefined) return undefined
  return { header, claims, input: `${head}.${payload}`, signature: Buffer.from(signature, 'base64url') }
}

function holds({ input, signature }: Parts, key: KeyObject): boolean {
  return verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, signature)
}

function publicKeyOf({ server }: Asker): KeyObject {
  return createPublicKey({ key: server.signingKey, format: 'jwk' })
}

export const signatureFaults = {
  /** Accepts a token without a signature. */
  acceptsUnsigned: signWhere(({ header: { alg } }) => typeof alg === 'string' && /^none$/i.test(alg)),
  /** Verifies with the algorithm that the token names, and the one key that it has. */
  acceptsHmac: signWhere(({ header, input, signature }, asker) => {
    const secret = publicKeyOf(asker).export({ type: 'spki', format: 'pem' })
    return header.alg === 'HS256' && createHmac('sha256', secret).update(input).digest().equals(signature)
  }),
  /** Verifies with the key in the token's header. */
  trustsKeyInHeader: signWhere(parts => {
    const { jwk } = parts.header
    return jwk !== undefined && holds(parts, createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }))
  }),
  /** Verifies only the first token of a client. */
  ignoresSignatures: signWhere(() => true),
  /** Accepts tokens in every spelling, and looks up revoked ones by their text. */
  readsLoosely: signWhere((parts, asker) => {
    const text = tokenOf(asker.request) ?? ''
    const isExact = text === `${parts.input}.${parts.signature.toString('base64url')}`
    return !isExact && holds(parts, publicKeyOf(asker))
  }),
} satisfies Record<string, Fault>
