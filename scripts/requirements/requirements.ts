// The requirements of the specifications that this project follows, in our words, each with a number that tests name.
// docs/reference/compliance.md is generated from them and from the tests: scripts/generate/compliance.ts.
import { asvsItems } from './asvs.ts'
import { bindingRequirements } from './bindings.ts'
import { certificateRequirements } from './certificates.ts'
import { endpointRequirements } from './endpoints.ts'
import { eventRequirements } from './events.ts'
import { grantRequirements } from './grants.ts'
import { proofRequirements } from './proofs.ts'
import { proxyRequirements } from './proxies.ts'
import { tokenRequirements } from './tokens.ts'

export interface Requirement {
  /** What tests name in a title or in their text: `N-24`, `ASVS 10.3.5`. */
  readonly number: string
  /** How strong the specification is about it; `ours`: no specification asks for it. */
  readonly level: 'MUST' | 'SHOULD' | 'MAY' | 'ours' | `level ${1 | 2 | 3}`
  /** Specification and sections. */
  readonly source: string
  /** What it demands, in a sentence; no more than what is done, but for the limit. */
  readonly says: string
  /** What is not so, or not shown by tests, and why. */
  readonly limit?: readonly [kind: 'does not apply' | 'not met' | 'in part', because: string]
  /** Other marks of tests that prove it: ids of attacks, or numbers of requirements. */
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
  { title: 'Leak reports and forms of events', requirements: eventRequirements },
]

export const asvs: Area = {
  title: 'OWASP ASVS 5.0',
  about: `Items of the Application Security Verification Standard that are about tokens, clients and mutual TLS, and that tests
speak to. This is no assessment against the standard.`,
  requirements: asvsItems,
}
