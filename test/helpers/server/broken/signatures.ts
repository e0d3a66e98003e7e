// What servers do wrong with signatures: they let the token say how, and by whom, it was signed (RFC 8725 §2.1, §3.10).
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

/** Takes a token for one of its own as soon as `isGood` says so. */
function signWhere(isGood: (parts: Parts, asker: Asker) => boolean): Fault {
  return {
    asked: asker => {
      const parts = read(tokenOf(asker.request) ?? '')
      if (parts === undefined || !isGood(parts, asker)) return
      // Under an id of its own: nobody has revoked that one.
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
  /** A token without signature is signed well enough. */
  acceptsUnsigned: signWhere(({ header: { alg } }) => typeof alg === 'string' && /^none$/i.test(alg)),
  /** Verifies by the algorithm that the token names, with the one key that it has. */
  acceptsHmac: signWhere(({ header, input, signature }, asker) => {
    const secret = publicKeyOf(asker).export({ type: 'spki', format: 'pem' })
    return header.alg === 'HS256' && createHmac('sha256', secret).update(input).digest().equals(signature)
  }),
  /** Verifies with the key that the token brings along. */
  trustsKeyInHeader: signWhere(parts => {
    const { jwk } = parts.header
    return jwk !== undefined && holds(parts, createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }))
  }),
  /** Has verified the first token of a client, and leaves it at that. */
  ignoresSignatures: signWhere(() => true),
  /** Reads tokens in every spelling, and knows revoked ones by their text. */
  readsLoosely: signWhere((parts, asker) => {
    const text = tokenOf(asker.request) ?? ''
    const isExact = text === `${parts.input}.${parts.signature.toString('base64url')}`
    return !isExact && holds(parts, publicKeyOf(asker))
  }),
} satisfies Record<string, Fault>
