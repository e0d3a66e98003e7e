// Client certificates: RFC 8705.
import type { Requirement } from './requirements.ts'

export const certificateRequirements: readonly Requirement[] = [
  {
    number: 'N-21',
    level: 'MUST',
    source: 'RFC 8705 §2',
    says: 'Whoever authenticates with a certificate names its `client_id`; without the certificate of that client it is `invalid_client`.',
  },
  {
    number: 'N-22',
    level: 'MUST',
    source: 'RFC 8705 §2.1.2',
    says: 'A client has exactly one name of five kinds to be known by, compared as what it is: an address in binary, a subject part by part.',
  },
  {
    number: 'N-23',
    level: 'MUST',
    source: 'RFC 8705 §2.2',
    says: 'A self-signed certificate is good when it is registered itself, in `jwks`, and for that client; its chain is not looked at.',
    limit: ['in part', '`jwks_uri` of a client is not read; its certificates stand in `jwks`.'],
  },
  {
    number: 'N-24',
    level: 'MUST',
    source: 'RFC 8705 §3',
    says: 'A resource takes a token only with the certificate that it is bound to, as TLS has it; otherwise 401 `invalid_token`.',
  },
  {
    number: 'N-25',
    level: 'MUST',
    source: 'RFC 8705 §3.1',
    says: '`x5t#S256` is the SHA-256 of the certificate in DER, in base64url without padding.',
  },
  {
    number: 'N-26',
    level: 'MUST',
    source: 'RFC 8705 §3.2',
    says: 'Introspection tells the same `cnf` as the token.',
  },
  {
    number: 'N-27',
    level: 'MAY',
    source: 'RFC 8705 §3.3, §3.4',
    says: 'The metadata of the server says `tls_client_certificate_bound_access_tokens`.',
    limit: ['in part', 'A client’s own member of that name is not known to registrations, since every token is bound.'],
  },
  {
    number: 'N-28',
    level: 'SHOULD',
    source: 'RFC 8705 §4, §7.1',
    says: 'A refresh token is bound to its client and to its certificate.',
  },
  {
    number: 'N-29',
    level: 'MUST',
    source: 'RFC 8705 §5',
    says: 'A client goes to the aliases of endpoints for mutual TLS first, and where there are none to the usual ones.',
  },
  {
    number: 'N-30',
    level: 'MUST',
    source: 'RFC 8705 §3, §6.3',
    says: 'A renewed certificate ends the tokens of the old one.',
  },
  {
    number: 'N-31',
    level: 'SHOULD',
    source: 'RFC 8705 §7.4, §7.5',
    says: 'Only the configured authorities are trusted, an established library looks at chains, and the one that builds certificates reads none of a peer’s.',
    limit: [
      'in part',
      'After a reload, what authorities and revocation lists say of live connections is judged by `src/tls/trust.ts`, along a chain that OpenSSL has found good before.',
    ],
  },
]
