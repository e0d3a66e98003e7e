// The token endpoint: RFC 6749, RFC 9700, FAPI 2.0 Security Profile.
import type { Requirement } from './requirements.ts'

export const grantRequirements: readonly Requirement[] = [
  {
    number: 'N-38',
    level: 'MUST',
    source: 'RFC 6749 §2.3, §3.2',
    says: 'A token request is a POST; no parameter comes twice, an empty one is as good as none, an unknown one is ignored; one way to authenticate.',
  },
  {
    number: 'N-39',
    level: 'MUST',
    source: 'RFC 6749 §4.4, §4.4.3',
    says: '`client_credentials` gives a refresh token to those clients alone that are registered for it.',
    limit: ['in part', '§4.4.3 would rather have no refresh token at all here; a registration has to ask for it.'],
  },
  {
    number: 'N-40',
    level: 'MUST',
    source: 'RFC 6749 §5.1, §5.2',
    says: 'Answers are not to be stored; refusals are JSON, 400 or 401, with the challenge of the scheme that was tried, and without quotes or backslashes.',
  },
  {
    number: 'N-41',
    level: 'MUST',
    source: 'RFC 6749 §3.3, §6',
    says: 'The scope is said, and no refresh widens it; a refresh token is for its client.',
  },
  {
    number: 'N-42',
    level: 'MUST',
    source: 'RFC 9700 §2.2.2, §4.14',
    says: 'A refresh token is bound and rotated; one that is used again ends its grant, but for a race or a retry.',
  },
  {
    number: 'N-43',
    level: 'MUST',
    source: 'FAPI 2.0 Security Profile §5.3.2.1',
    says: 'All clients are confidential, all access tokens sender-constrained; refresh tokens can be used without rotation; `iat` and `nbf` may be 10 s ahead.',
    limit: [
      'in part',
      'Rotation is the default, which FAPI forbids but for extraordinary circumstances: register `refresh_token_rotation` `static`.',
    ],
  },
  {
    number: 'N-44',
    level: 'MUST',
    source: 'RFC 9700 §2.3, §2.4, §4.13',
    says: 'There is no password grant; a token for another resource is refused; what a proxy would say in a header is not believed.',
  },
]
