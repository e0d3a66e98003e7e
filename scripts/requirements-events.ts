// Leak reports and forms of security events that others read: GitHub secret scanning, OCSF, ECS.
import type { Requirement } from './requirements.ts'

export const eventRequirements: readonly Requirement[] = [
  {
    number: 'N-64',
    level: 'MUST',
    source: 'GitHub secret scanning partner program',
    says: 'Reports of leaked tokens are taken with a good signature over the raw body, and answered within 30 s.',
    limit: [
      'not met',
      'There is no address for leak reports. The form of our opaque tokens is made for it: a prefix, entropy, a checksum of 32 bits.',
    ],
  },
  {
    number: 'N-65',
    level: 'MUST',
    source: 'OCSF classes 3002, 6003, 2004',
    says: 'Security events can be written as OCSF.',
    limit: ['not met', 'Events have one form, our own, as JSON lines.'],
  },
  {
    number: 'N-66',
    level: 'MUST',
    source: 'Elastic Common Schema',
    says: 'Security events can be written as ECS.',
    limit: ['not met', 'Events have one form, our own, as JSON lines.'],
  },
]
