// Access tokens: RFC 7800, RFC 9068, RFC 8725, RFC 6749 §10.10.
import type { Requirement } from './requirements.ts'

export const tokenRequirements: readonly Requirement[] = [
  {
    number: 'N-32',
    level: 'MUST',
    source: 'RFC 7800 §3.1',
    says: 'A `cnf` has one of the issued shapes, without keys or unknown members.',
  },
  {
    number: 'N-33',
    level: 'MUST',
    source: 'RFC 9068 §2.1, §2.2, §4',
    says: 'An access token is signed, of type `at+jwt`, with `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and `jti`; RS256 is among the algorithms, `none` never.',
  },
  {
    number: 'N-34',
    level: 'MUST',
    source: 'RFC 9068 §4',
    says: '`iss` is exactly this issuer, `aud` contains this resource, `exp` is in the future; otherwise `invalid_token`.',
  },
  {
    number: 'N-35',
    level: 'MUST',
    source: 'RFC 9068 §3, §5, §6, RFC 8707 §2',
    says: '`aud` is the one requested resource, or the default; for an unknown one no token is issued.',
    limit: [
      'in part',
      'tlsbound’s client parses `cnf`, to check that a token is for its connection and certificate; RFC 9068 §6 forbids clients to inspect a token.',
    ],
  },
  {
    number: 'N-36',
    level: 'MUST',
    source: 'RFC 8725 §3.1, §3.10, §3.11, §3.12',
    says: 'A key verifies one algorithm; keys and URLs in a token are ignored, and its `kid` selects a loaded key or none; no kind of JWT is accepted as another.',
  },
  {
    number: 'N-37',
    level: 'MUST',
    source: 'RFC 6749 §10.10',
    says: 'Refresh tokens and opaque access tokens cannot be guessed: 256 random bits.',
  },
]
