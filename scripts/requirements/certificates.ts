// Client certificates: RFC 8705.
import type { Requirement } from './requirements.ts'

export const certificateRequirements: readonly Requirement[] = [
  {
    number: 'N-21',
    level: 'MUST',
    source: 'RFC 8705 §2',
    says: 'A client that authenticates with a certificate sends its `client_id`; without the certificate of that client the error is `invalid_client`.',
  },
  {
    number: 'N-22',
    level: 'MUST',
    source: 'RFC 8705 §2.1.2',
    says: 'A client is identified by exactly one name of five kinds, compared by its type: an address in binary, a subject part by part.',
  },
  {
    number: 'N-23',
    level: 'MUST',
    source: 'RFC 8705 §2.2',
    says: 'A self-signed certificate is accepted if it is registered in `jwks` of that client; its chain is not checked.',
    limit: ['in part', '`jwks_uri` of a client is not supported; its certificates are in `jwks`.'],
  },
  {
    number: 'N-24',
    level: 'MUST',
    source: 'RFC 8705 §3',
    says: 'A resource server accepts a token only with the TLS client certificate that it is bound to; otherwise 401 `invalid_token`.',
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
    says: 'Introspection returns the `cnf` of the token.',
  },
  {
    number: 'N-27',
    level: 'MAY',
    source: 'RFC 8705 §3.3, §3.4',
    says: 'The metadata of the server has `tls_client_certificate_bound_access_tokens`.',
    limit: ['in part', 'Registrations do not support a client’s own member of that name, since every token is bound.'],
  },
  {
    number: 'N-28',
    level: 'SHOULD',
    source: 'RFC 8705 §4, §7.1',
    says: 'A refresh token works with any certificate that authenticates as its client, so that it survives a renewal, or only with the one that it was issued to, as the registration says; with no other.',
  },
  {
    number: 'N-29',
    level: 'MUST',
    source: 'RFC 8705 §5',
    says: 'A client uses the mutual-TLS aliases of endpoints, and without aliases the ordinary endpoints.',
  },
  {
    number: 'N-30',
    level: 'MUST',
    source: 'RFC 8705 §3, §6.3',
    says: 'Tokens of the old certificate are rejected with a renewed one.',
  },
  {
    number: 'N-31',
    level: 'SHOULD',
    source: 'RFC 8705 §7.4, §7.5',
    says: 'Only the configured authorities are trusted. An established library verifies chains, and the library that creates certificates parses none of a peer.',
    limit: [
      'in part',
      'After a reload, `src/tls/trust.ts` evaluates authorities and revocation lists for live connections, along a chain that OpenSSL verified before.',
    ],
  },
]
