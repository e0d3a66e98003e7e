// The token endpoint: RFC 6749, RFC 9700, FAPI 2.0 Security Profile.
import type { Requirement } from './requirements.ts'

export const grantRequirements: readonly Requirement[] = [
  {
    number: 'N-38',
    level: 'MUST',
    source: 'RFC 6749 §2.3, §3.2',
    says: 'A token request is a POST with one authentication method; repeated parameters are rejected, empty ones count as absent, unknown ones are ignored.',
  },
  {
    number: 'N-39',
    level: 'MUST',
    source: 'RFC 6749 §4.4, §4.4.3',
    says: '`client_credentials` issues a refresh token only to clients that are registered for it.',
    limit: ['in part', '§4.4.3 recommends no refresh token here; a registration must ask for it.'],
  },
  {
    number: 'N-40',
    level: 'MUST',
    source: 'RFC 6749 §5.1, §5.2',
    says: 'Responses forbid caching; refusals are JSON with 400 or 401, the challenge of the attempted scheme, and no quotes or backslashes.',
  },
  {
    number: 'N-41',
    level: 'MUST',
    source: 'RFC 6749 §3.3, §6',
    says: 'The response states the scope, and no refresh widens it; a refresh token is bound to its client.',
  },
  {
    number: 'N-42',
    level: 'MUST',
    source: 'RFC 9700 §2.2.2, §4.14',
    says: 'A refresh token is bound and rotated; a reused one is refused, except for a retry, and ends its grant where `theft_response` says so.',
  },
  {
    number: 'N-43',
    level: 'MUST',
    source: 'FAPI 2.0 Security Profile §5.3.2.1',
    says: 'All clients are confidential, all access tokens sender-constrained; refresh tokens can be used without rotation; `iat` and `nbf` may be 10 s ahead.',
    limit: [
      'in part',
      'Rotation is the default, which FAPI forbids except in extraordinary circumstances: register `refresh_token_rotation` `static`.',
    ],
  },
  {
    number: 'N-44',
    level: 'MUST',
    source: 'RFC 9700 §2.3, §2.4, §4.13',
    says: 'There is no password grant; a token for another resource is rejected; header fields of proxies are ignored.',
  },
]
