// What a proxy in front of the server would have to keep: RFC 9440, RFC 9729, RFC 6750 §5.2. TLS ends in our process.
import type { Requirement } from './requirements.ts'

export const proxyRequirements: readonly Requirement[] = [
  {
    number: 'N-53',
    level: 'MUST',
    source: 'RFC 9440 §2, §4',
    says: '`Client-Cert` is believed from a trusted proxy alone.',
    limit: ['does not apply', 'There is no such proxy, and nobody is believed.'],
  },
  {
    number: 'N-54',
    level: 'MUST',
    source: 'RFC 9729 §6',
    says: '`Concealed-Auth-Export` is believed from a trusted frontend alone.',
    limit: ['does not apply', 'There is no such frontend, and nobody is believed.'],
  },
  {
    number: 'N-55',
    level: 'MUST',
    source: 'RFC 6750 §5.2',
    says: 'Behind the end of TLS tokens travel confidentially.',
    limit: ['does not apply', 'TLS ends in the process that looks at the tokens.'],
  },
]
