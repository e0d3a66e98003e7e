// Leak reports, and formats of security events for other programs: GitHub secret scanning, OCSF, ECS.
import type { Requirement } from './requirements.ts'

export const eventRequirements: readonly Requirement[] = [
  {
    number: 'N-64',
    level: 'MUST',
    source: 'GitHub secret scanning partner program',
    says: 'Reports of leaked tokens are accepted with a valid signature over the raw body, and answered within 30 s.',
  },
  {
    number: 'N-65',
    level: 'MUST',
    source: 'OCSF 1.5 classes 3002, 6003, 2004, 4001, 0',
    says: 'Security events can be written as OCSF.',
    limit: [
      'in part',
      'The tests validate the events with this project’s schema, which was written from the definitions of OCSF; no npm package contains these.',
    ],
  },
  {
    number: 'N-66',
    level: 'MUST',
    source: 'Elastic Common Schema 8.17',
    says: 'Security events can be written as ECS.',
    limit: [
      'in part',
      'The tests validate the events with the official definitions of ECS 8.11, the latest of version 8 in an npm package. Their fields and values are valid in 8.17 too, since a minor version only adds.',
    ],
  },
]
