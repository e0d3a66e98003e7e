// Protected resources, introspection, revocation, metadata: RFC 6750, RFC 7662, RFC 7009, RFC 8414, RFC 9728, RFC 9110.
import type { Requirement } from './requirements.ts'

export const endpointRequirements: readonly Requirement[] = [
  {
    number: 'N-45',
    level: 'MUST',
    source: 'RFC 6750 §2',
    says: 'A token is sent in the Authorization header, once, and in no query, body or cookie.',
    limit: [
      'in part',
      'With the demo’s setting `TLSBOUND_UNSAFE_TOKEN_COOKIE`, off by default, a cookie is accepted instead of the header.',
    ],
  },
  {
    number: 'N-46',
    level: 'MUST',
    source: 'RFC 6750 §3',
    says: 'A 401 of a resource server has a Bearer challenge with a parameter, no `error` without a token, and no characters that need escaping.',
  },
  {
    number: 'N-47',
    level: 'MUST',
    source: 'draft-mw-oauth-tls-session-bound-tokens §3.5',
    says: 'A missing proof is 401 `use_session_binding`, an invalid one 401 `invalid_proof`.',
  },
  {
    number: 'N-48',
    level: 'MUST',
    source: 'RFC 9110 §15.5.20',
    says: 'A request for another host than in the handshake is 421.',
  },
  {
    number: 'N-49',
    level: 'MUST',
    source: 'RFC 7662 §2.1, §2.2, §4',
    says: 'Only the authenticated resource server of a token gets its claims; for invalid tokens and tokens of others the response is exactly `{"active":false}`.',
  },
  {
    number: 'N-50',
    level: 'MUST',
    source: 'RFC 7009 §2',
    says: 'A client revokes its own tokens, whatever the hint; an unknown token is 200; a refresh token revokes its access tokens too; without its store the server answers 503.',
  },
  {
    number: 'N-51',
    level: 'MUST',
    source: 'RFC 8414 §2, §3',
    says: 'The metadata of the issuer is at the well-known path between its host and its path, names it exactly, has no empty list, and is accurate.',
  },
  {
    number: 'N-52',
    level: 'MUST',
    source: 'RFC 9728 §2, §3, §5.1',
    says: 'The metadata of the resource is at the well-known path between its host and its path, names it exactly, and challenges have its URL.',
  },
]
