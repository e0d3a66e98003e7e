// Access tokens: RFC 7800, RFC 9068, RFC 8725, RFC 6749 §10.10.
import type { Requirement } from './requirements.ts'

export const tokenRequirements: readonly Requirement[] = [
  {
    number: 'N-32',
    level: 'MUST',
    source: 'RFC 7800 §3.1',
    says: 'A `cnf` is of one of our shapes, without a key or a member that we do not know.',
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
    says: '`iss` is ours to the letter, `aud` has ours in it, `exp` is to come; otherwise `invalid_token`.',
  },
  {
    number: 'N-35',
    level: 'MUST',
    source: 'RFC 9068 §3, §5, §6, RFC 8707 §2',
    says: '`aud` is the one resource that was asked for, or the default; for an unknown one nothing is issued.',
    limit: [
      'in part',
      'Our own client reads `cnf`, to see that a token is for its connection and certificate; RFC 9068 §6 wants no client to look into a token.',
    ],
  },
  {
    number: 'N-36',
    level: 'MUST',
    source: 'RFC 8725 §3.1, §3.10, §3.11, §3.12',
    says: 'A key verifies one algorithm; no key or address of a token is used, and its `kid` finds a key that is loaded or nothing; no kind of JWT is taken for another.',
  },
  {
    number: 'N-37',
    level: 'MUST',
    source: 'RFC 6749 §10.10',
    says: 'Refresh tokens and opaque access tokens cannot be guessed: 256 random bits.',
  },
]
