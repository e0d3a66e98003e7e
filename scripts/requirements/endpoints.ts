// Protected resources, introspection, revocation, metadata: RFC 6750, RFC 7662, RFC 7009, RFC 8414, RFC 9728, RFC 9110.
import type { Requirement } from './requirements.ts'

export const endpointRequirements: readonly Requirement[] = [
  {
    number: 'N-45',
    level: 'MUST',
    source: 'RFC 6750 §2',
    says: 'A token comes in the Authorization header, once, and in no query, body or cookie.',
    limit: [
      'in part',
      'With the demo’s switch `TLSBOUND_UNSAFE_TOKEN_COOKIE`, off by default, a cookie is taken for the header.',
    ],
  },
  {
    number: 'N-46',
    level: 'MUST',
    source: 'RFC 6750 §3',
    says: 'At a resource a 401 has a Bearer challenge with a parameter, no `error` where there was no token, and nothing in it that needs an escape.',
  },
  {
    number: 'N-47',
    level: 'MUST',
    source: 'draft-mw-oauth-tls-session-bound-tokens §3.5',
    says: 'A missing proof is 401 `use_session_binding`, a wrong one 401 `invalid_proof`.',
  },
  {
    number: 'N-48',
    level: 'MUST',
    source: 'RFC 9110 §15.5.20',
    says: 'A request for another host than the handshake named is 421.',
  },
  {
    number: 'N-49',
    level: 'MUST',
    source: 'RFC 7662 §2.1, §2.2, §4',
    says: 'Introspection is for the authenticated resource server of a token; whatever is wrong, or not for it, is `{"active":false}` and no more.',
  },
  {
    number: 'N-50',
    level: 'MUST',
    source: 'RFC 7009 §2',
    says: 'A client revokes its own tokens, whatever the hint says; an unknown one is 200; a refresh token takes its access tokens along; without its store the server says 503.',
  },
  {
    number: 'N-51',
    level: 'MUST',
    source: 'RFC 8414 §2, §3',
    says: 'The metadata of the issuer lies between its host and its path, names it to the letter, has no empty list, and promises what is so.',
  },
  {
    number: 'N-52',
    level: 'MUST',
    source: 'RFC 9728 §2, §3, §5.1',
    says: 'The metadata of the resource lies between its host and its path, names it to the letter, and challenges lead to it.',
  },
]
