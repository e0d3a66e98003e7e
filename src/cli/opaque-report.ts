// The report of `tlsbound inspect` about an opaque token: its kind, and whether its checksum is correct.
import { isOpaqueToken, type OpaqueTokenKind } from '../core/opaque-token.ts'

export interface OpaqueReport {
  /** null when the checksum is wrong. */
  readonly type: 'refresh token' | 'opaque access token' | null
  readonly accepted: null | false
}

const kinds = {
  rt: {
    type: 'refresh token',
    use: 'It is bound to the certificate of its client, which uses it to request new access tokens from the issuer.',
  },
  at: {
    type: 'opaque access token',
    use: 'Only its issuer knows its client; resource servers use /oauth/introspect.',
  },
} as const satisfies Record<OpaqueTokenKind, { type: OpaqueReport['type']; use: string }>

/** Builds the report as data and as text; undefined for a text that does not begin like an opaque token. */
export function buildOpaqueReport(
  token: string,
): { readonly report: OpaqueReport; readonly words: string } | undefined {
  if (!/^tlsbound_(rt|at)_/.test(token)) return undefined
  const kind = isOpaqueToken(token)
  if (kind === undefined) {
    const words = 'This begins like a tlsbound token, but its checksum is wrong: it is incomplete or mistyped.'
    return { report: { type: null, accepted: false }, words }
  }
  const { type, use } = kinds[kind]
  const words = `A complete tlsbound ${type}, by its form and checksum. ${use}\nNot verified:\n- whether it was ever issued, has expired or was revoked`
  return { report: { type, accepted: null }, words }
}
