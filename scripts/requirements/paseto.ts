// PASETO version 4, and PASERK.
import type { Requirement } from './requirements.ts'

export const pasetoRequirements: readonly Requirement[] = [
  {
    number: 'N-71',
    level: 'project',
    source: 'PASETO v4, Sign, Verify; Registered Claims',
    says: 'A PASETO access token is `v4.public` with the claims of a JWT, times as date-times and `cnf`; other implementations verify it, and it is accepted from its presenter only.',
  },
  {
    number: 'N-72',
    level: 'MUST',
    source: 'PASETO, Algorithm Lucidity',
    says: 'A key is for one version and purpose: no other version, no `local` token, and no key for JWTs is accepted for a PASETO.',
  },
  {
    number: 'N-73',
    level: 'MUST',
    source: 'PASETO, Payload Processing; PASERK',
    says: 'The footer has one form, is bounded before it is decoded, and only selects a loaded key by its PASERK id.',
  },
  {
    number: 'N-74',
    level: 'project',
    source: 'PASETO v4, Implicit Assertions',
    says: 'Issuer and purpose are the implicit assertion: what was signed for another issuer or purpose does not verify.',
  },
  {
    number: 'N-75',
    level: 'MUST',
    source: 'PASETO, Payload Processing, Registered Claims',
    says: 'The claims are a JSON object in UTF-8 with unique names; times are date-times of RFC 3339.',
  },
  {
    number: 'N-76',
    level: 'project',
    source: 'PASERK, public, pid',
    says: 'The key is published as JWK and as PASERK under its id; without a key no client is registered for PASETO.',
  },
]
