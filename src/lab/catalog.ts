// All scenarios, in the order in which they are played and reported: from the plainest thief to the best equipped one.
import type { Scenario } from './scenario.ts'
import { scenario as noCertificate } from './scenarios/no-certificate.ts'
import { scenario as otherCertificate } from './scenarios/other-certificate.ts'
import { scenario as otherConnection } from './scenarios/other-connection.ts'

export const scenarios: readonly Scenario[] = [noCertificate, otherCertificate, otherConnection]
