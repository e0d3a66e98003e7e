// With whose certificate a token was brought: a closed list, for events and for the rule of theft.ts.

/**
 * The certificate that a token came with, compared with the one that it is bound to. `renewed`: another certificate that is
 * accepted and belongs to the same client. `perhaps_renewed`: one that is not accepted for the client, and that the client may
 * have got by a renewal: it has the registered name and is not trusted, or it comes with the client_id and has another name.
 */
export const cameWith = [
  'own_certificate',
  'renewed_certificate',
  'perhaps_renewed_certificate',
  'other_certificate',
  'no_certificate',
] as const

export type CameWith = (typeof cameWith)[number]
