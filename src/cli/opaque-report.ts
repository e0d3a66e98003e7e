// What `tlsbound inspect` can say of a token that says nothing itself: its kind, and whether it is whole.
import { isOpaqueToken, type OpaqueTokenKind } from '../core/opaque-token.ts'

export interface OpaqueReport {
  /** null: its checksum is wrong. */
  readonly type: 'refresh token' | 'opaque access token' | null
  readonly accepted: null | false
}

const kinds = {
  rt: {
    type: 'refresh token',
    use: 'It is bound to the certificate of its client, which gets new access tokens for it at the issuer.',
  },
  at: {
    type: 'opaque access token',
    use: 'Only its issuer knows whom it belongs to, and tells resource servers at /oauth/introspect.',
  },
} as const satisfies Record<OpaqueTokenKind, { type: OpaqueReport['type']; use: string }>

/** Builds the report, and the same in words; undefined for a text that does not even begin like such a token. */
export function buildOpaqueReport(
  token: string,
): { readonly report: OpaqueReport; readonly words: string } | undefined {
  if (!/^tlsbound_(rt|at)_/.test(token)) return undefined
  const kind = isOpaqueToken(token)
  if (kind === undefined) {
    const words = 'This begins like a token of tlsbound, but its checksum is wrong: some of it is missing or mistyped.'
    return { report: { type: null, accepted: false }, words }
  }
  const { type, use } = kinds[kind]
  const words = `A whole ${type} of tlsbound, by its form and checksum. ${use}\nNot verified:\n- whether it was ever issued, has expired or was revoked`
  return { report: { type, accepted: null }, words }
}
