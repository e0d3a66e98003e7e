// Faults in the verification of PASETO: what is signed is computed from less than the whole token, or with another key (PASETO: Algorithm
// Lucidity, Version4).
import { createPublicKey, verify } from 'node:crypto'
import { encodePieces, forgePaseto, implicitOf } from '../../tokens/forge-paseto.ts'
import type { BrokenServer, Fault } from '../broken-server.ts'
import { take, tokenOf } from './requests.ts'

interface Parts {
  readonly header: string
  readonly message: Buffer
  readonly signature: Buffer
  readonly footer: Buffer
  /** Whether the signature is one of these pieces by the key for PASETO, or for JWTs. */
  holds(pieces: readonly (string | Buffer)[], key?: 'paseto' | 'jwt'): boolean
}

/** Accepts a token as its own if `isGood` returns true. */
function signWhere(isGood: (parts: Parts) => boolean): Fault {
  return {
    asked: asker => {
      const parts = read(tokenOf(asker.request) ?? '', asker.server)
      if (parts === undefined || !isGood(parts)) return
      take(asker, forgePaseto({ jwk: asker.server.pasetoKeys.paseto, claims: parts.message }))
    },
  }
}

function read(token: string, { pasetoKeys }: BrokenServer): Parts | undefined {
  const [version, purpose, payload, footer = '', ...more] = token.split('.')
  if (payload === undefined || more.length > 0 || !/^v\d$/.test(String(version))) return undefined
  const octets = Buffer.from(payload, 'base64url')
  const signature = octets.subarray(-64)
  return {
    header: `${version}.${purpose}.`,
    message: octets.subarray(0, -64),
    signature,
    footer: Buffer.from(footer, 'base64url'),
    holds(pieces, key = 'paseto') {
      const { kty, crv, x } = pasetoKeys[key]
      const publicKey = createPublicKey({ key: { kty, crv, x } as never, format: 'jwk' })
      return verify(null, encodePieces(...pieces.map(piece => Buffer.from(piece as string))), publicKey, signature)
    },
  }
}

const v4 = 'v4.public.'

export const pasetoFaults = {
  /** Finds keys by their id alone, or tries all that it has. */
  verifiesPasetoWithAnyKey: signWhere(
    ({ header, message, footer, holds }) => header === v4 && holds([v4, message, footer, implicitOf()], 'jwt'),
  ),
  /** Verifies the claims with the footer that it would have written. */
  ignoresFooters: {
    asked: asker => {
      const parts = read(tokenOf(asker.request) ?? '', asker.server)
      const { paseto } = asker.server.pasetoKeys
      if (parts?.header === v4 && parts.holds([v4, parts.message, `{"kid":"${paseto.kid}"}`, implicitOf()]))
        take(asker, forgePaseto({ jwk: paseto, claims: parts.message }))
    },
  },
  /** Verifies without an implicit assertion. */
  ignoresImplicitAssertions: signWhere(
    ({ header, message, footer, holds }) => header === v4 && holds([v4, message, footer, '']),
  ),
  /** Verifies every purpose like the one that it knows. */
  ignoresPurposes: signWhere(
    ({ header, message, footer, holds }) => header === 'v4.local.' && holds([v4, message, footer, implicitOf()]),
  ),
  /** Verifies a token as its own version demands. */
  acceptsOlderVersions: signWhere(
    ({ header, message, footer, holds }) => header === 'v2.public.' && holds([header, message, footer]),
  ),
} satisfies Record<string, Fault>
