// Binding proofs: draft-mw-oauth-tls-session-bound-tokens, work in progress, with this project's rules where it has none.
import type { Requirement } from './requirements.ts'

const draft = 'draft-mw-oauth-tls-session-bound-tokens'

export const proofRequirements: readonly Requirement[] = [
  {
    number: 'N-56',
    level: 'MUST',
    source: `${draft} §2.2`,
    says: 'Proofs are made over 32 octets with the label `EXPORTER-oauth-tls-session-bound` and an empty context.',
  },
  {
    number: 'N-57',
    level: 'MUST',
    source: `${draft} §2.3`,
    says: 'A proof is a JWT of type `tls-binding-proof+jwt`, signed by the key of the certificate, with `x5t#S256`, `ath`, `ekm` and `iat`; `jti`, `htm` and `htu` are verified if present.',
  },
  {
    number: 'N-58',
    level: 'MUST',
    source: `${draft} §2.4`,
    says: 'The `cnf` of a token that needs proofs has `x5t#S256`, and the label as `tls_exp`.',
  },
  {
    number: 'N-59',
    level: 'MUST',
    source: `${draft} §3.3`,
    says: 'Every request has a valid proof for its token and connection; verified proofs are remembered for one connection.',
  },
  {
    number: 'N-60',
    level: 'MUST',
    source: `${draft} §3.4`,
    says: 'Introspection returns `tls_exp`.',
  },
  {
    number: 'N-61',
    level: 'MUST',
    source: `${draft} §3.2`,
    says: 'A client with `tls_session_bound_access_tokens` gets no other tokens.',
  },
  {
    number: 'N-62',
    level: 'MUST',
    source: `${draft} §5`,
    says: 'The verifier of a proof terminates its TLS connection.',
  },
  {
    number: 'N-63',
    level: 'project',
    source: `${draft}, where it is silent`,
    says: 'TLS 1.2 only with the extended master secret; `iat` is checked at the first use on a connection; one header of at most 4096 characters, without `crit` or unknown members; the key determines the algorithm.',
  },
]
