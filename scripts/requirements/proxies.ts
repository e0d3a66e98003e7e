// Requirements on a proxy in front of the server: RFC 9440, RFC 9729, RFC 6750 §5.2. TLS ends in this server's process.
import type { Requirement } from './requirements.ts'

export const proxyRequirements: readonly Requirement[] = [
  {
    number: 'N-53',
    level: 'MUST',
    source: 'RFC 9440 §2, §4',
    says: '`Client-Cert` is accepted only from a trusted proxy.',
    limit: ['does not apply', 'There is no such proxy; the field is ignored.'],
  },
  {
    number: 'N-54',
    level: 'MUST',
    source: 'RFC 9729 §6',
    says: '`Concealed-Auth-Export` is accepted only from a trusted frontend.',
    limit: ['does not apply', 'There is no such frontend; the field is ignored.'],
  },
  {
    number: 'N-55',
    level: 'MUST',
    source: 'RFC 6750 §5.2',
    says: 'Tokens stay confidential behind the TLS endpoint.',
    limit: ['does not apply', 'TLS ends in the process that verifies the tokens.'],
  },
]
