// The requirements of the specifications that this project follows, each with a number that tests name.
// docs/reference/compliance.md is generated from them and from the tests: scripts/generate/compliance.ts.
import { asvsItems } from './asvs.ts'
import { bindingRequirements } from './bindings.ts'
import { certificateRequirements } from './certificates.ts'
import { endpointRequirements } from './endpoints.ts'
import { eventRequirements } from './events.ts'
import { grantRequirements } from './grants.ts'
import { pasetoRequirements } from './paseto.ts'
import { proofRequirements } from './proofs.ts'
import { proxyRequirements } from './proxies.ts'
import { signedRequestRequirements } from './signed-requests.ts'
import { tokenRequirements } from './tokens.ts'

export interface Requirement {
  /** The mark in the title or the text of a test: `N-24`, `ASVS 10.3.5`. */
  readonly number: string
  /** The level in the specification; `project`: a requirement of this project. */
  readonly level: 'MUST' | 'SHOULD' | 'MAY' | 'project' | `level ${1 | 2 | 3}`
  /** Specification and sections. */
  readonly source: string
  /** The requirement in one sentence; no more than what is implemented, except for the limit. */
  readonly says: string
  /** What is not met, or not shown by tests, and why. */
  readonly limit?: readonly [kind: 'does not apply' | 'not met' | 'in part', because: string]
  /** Other marks of tests that prove it: codes of threats, or numbers of requirements. */
  readonly provenBy?: readonly string[]
}

export interface Area {
  readonly title: string
  readonly about?: string
  readonly requirements: readonly Requirement[]
}

export const areas: readonly Area[] = [
  { title: 'Channel bindings', requirements: bindingRequirements },
  { title: 'Client certificates', requirements: certificateRequirements },
  { title: 'Access tokens', requirements: tokenRequirements },
  { title: 'Grants', requirements: grantRequirements },
  { title: 'Resources, introspection, revocation, metadata', requirements: endpointRequirements },
  { title: 'Proxies', requirements: proxyRequirements },
  { title: 'Binding proofs', requirements: proofRequirements },
  { title: 'Leak reports and event formats', requirements: eventRequirements },
  { title: 'Signed requests', requirements: signedRequestRequirements },
  { title: 'PASETO', requirements: pasetoRequirements },
]

export const asvs: Area = {
  title: 'OWASP ASVS 5.0',
  about: `Items of the Application Security Verification Standard about tokens, clients and mutual TLS, with tests. This is not an
assessment against the standard.`,
  requirements: asvsItems,
}
