// Which certificate presented a token: a closed list, for events and for the rules in theft.ts.

/**
 * The certificate that presented a token, compared with the one that the token is bound to. `renewed`: another certificate that is
 * accepted for the same client. `perhaps_renewed`: a certificate that is not accepted, but may be a renewal. Either it has the
 * registered name and is not trusted, or it was presented with the client_id and has another name.
 */
export const cameWith = [
  'own_certificate',
  'renewed_certificate',
  'perhaps_renewed_certificate',
  'other_certificate',
  'no_certificate',
] as const

export type CameWith = (typeof cameWith)[number]
