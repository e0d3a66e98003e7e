// Assesses what others can do with a found token: this depends on its binding, and on whether the private key of its
// certificate was found too.

import { levelOf } from '../core/access-token.ts'
import { type TokenBinding, tokenBindings } from '../core/confirmation.ts'
import { redactTokens } from '../core/leak-report.ts'
import { hashOpaqueToken, isOpaqueToken, type OpaqueTokenKind } from '../core/opaque-token.ts'
import { isPaseto, pasetoVersion } from '../core/paseto.ts'
import { decodeToken } from '../text/describe-token.ts'
import type { PemCertificate } from './pem.ts'

export interface Judgement {
  readonly kind: 'refresh token' | 'opaque access token' | 'signed access token'
  /** Its beginning, which reveals nothing. */
  readonly begins: string
  /** base64url(SHA-256(token)), which identifies the token. */
  readonly hash: string
  readonly jti?: string
  readonly client_id?: string
  readonly token_binding?: TokenBinding
  readonly 'x5t#S256'?: string
  /** UTC. An expired token is worthless, but shows that tokens leak. */
  readonly expires?: string
  /** The certificate that it is bound to, if its private key was found too. */
  readonly leaked_certificate?: Pick<PemCertificate, 'subject' | 'thumbprint'>
  readonly remark: string
}

const worth: Readonly<Record<TokenBinding, (thumbprint: string) => string>> = {
  connection: () => 'worthless elsewhere: it is valid only on the TLS connection that it was issued on',
  proof: thumbprint => `worthless without the private key of the certificate ${thumbprint}, which signs each proof`,
  certificate: thumbprint => `worthless without the private key of the certificate ${thumbprint}`,
}

/** For opaque tokens, whose binding is unknown. */
const worthOfOpaque = {
  rt: 'worthless without the private key of its client, which only the issuer can identify',
  at: 'worthless without the private key of its client or, depending on its binding, on another connection',
} as const

/** Judges a token. `leaked`: certificates whose private keys were found; `now` in seconds since 1970. */
export function judgeToken(token: string, leaked: readonly PemCertificate[], now: number): Judgement {
  const hash = hashOpaqueToken(token)
  const opaque = isOpaqueToken(token)
  return opaque === undefined ? judgeSigned(token, hash, leaked, now) : judgeOpaque(opaque, hash, leaked)
}

function judgeOpaque(opaque: OpaqueTokenKind, hash: string, leaked: readonly PemCertificate[]): Judgement {
  const subjects = leaked.map(({ subject }) => subject).slice(0, 3)
  const suspicion = `; a private key that was found may be that of its client: ${subjects.join(', ')}${leaked.length > 3 ? ' …' : ''}`
  return {
    kind: opaque === 'rt' ? 'refresh token' : 'opaque access token',
    begins: `tlsbound_${opaque}_`,
    hash,
    remark: worthOfOpaque[opaque] + (leaked.length > 0 ? suspicion : ''),
  }
}

function judgeSigned(token: string, hash: string, leaked: readonly PemCertificate[], now: number): Judgement {
  const { jti, client_id, exp, cnf } = decodeToken(token)?.claims ?? {}
  const level = levelOf(cnf) ?? tokenBindings[0]
  const thumbprint = String((cnf as Readonly<Record<string, unknown>> | undefined)?.['x5t#S256'])
  const certificate = leaked.find(one => one.thumbprint === thumbprint)
  const expires = typeof exp === 'number' && Math.abs(exp) < 8.64e12 ? new Date(exp * 1000).toISOString() : undefined
  const remarks = [
    certificate === undefined ? worth[level](thumbprint) : describeLeaked(certificate, level),
    ...(typeof exp === 'number' && exp <= now ? ['it has expired'] : []),
  ]
  return {
    kind: 'signed access token',
    begins: isPaseto(token) ? `${pasetoVersion}.` : 'eyJ',
    hash,
    ...(typeof jti === 'string' && { jti: redactTokens(jti) }),
    ...(typeof client_id === 'string' && { client_id: redactTokens(client_id) }),
    token_binding: level,
    'x5t#S256': thumbprint,
    ...(expires !== undefined && { expires }),
    ...(certificate && { leaked_certificate: { subject: certificate.subject, thumbprint } }),
    remark: remarks.join('; '),
  }
}

function describeLeaked({ subject, thumbprint }: PemCertificate, level: TokenBinding): string {
  const named = `the private key of its certificate was found too: ${subject}, ${thumbprint}`
  if (level !== 'connection') return named
  return `${named}; the token is valid only on its own TLS connection, but the key suffices to request new ones`
}
