// Signed requests: HTTP Message Signatures, and digests of their content.
import type { Requirement } from './requirements.ts'

export const signedRequestRequirements: readonly Requirement[] = [
  {
    number: 'N-67',
    level: 'MUST',
    source: 'RFC 9421 §2.5, §3.1, §3.2, §3.3',
    says: 'Signatures are made and verified over the signature base, with the algorithms for RSA-PSS, P-256, P-384 and Ed25519.',
    limit: [
      'in part',
      'Only requests are signed. Component parameters, `@query-param`, `rsa-v1_5-sha256` and `hmac-sha256` are not supported, and refused.',
    ],
  },
  {
    number: 'N-68',
    level: 'MUST',
    source: 'RFC 9421 §3.2.1, §7.2, §7.3',
    says: 'A signature is accepted only if it covers the required components, is used once within its time, and is by the key of the certificate of the connection.',
  },
  {
    number: 'N-69',
    level: 'MAY',
    source: 'RFC 9421 §5.1',
    says: 'A refusal asks for the signature with `Accept-Signature`.',
  },
  {
    number: 'N-70',
    level: 'MUST',
    source: 'RFC 9530 §2, §5',
    says: 'The body of a signed request is verified with every `sha-256` and `sha-512` digest in `Content-Digest`, before a handler or an upstream takes it for complete.',
    limit: ['in part', '`Repr-Digest` and digests in trailers are not verified; `Want-Content-Digest` is not sent.'],
  },
]
