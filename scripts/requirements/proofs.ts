// Binding proofs: draft-mw-oauth-tls-session-bound-tokens, work in progress, and how we fill its gaps.
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
    says: 'A proof is a JWT of type `tls-binding-proof+jwt`, signed by the key of the certificate, with `x5t#S256`, `ath`, `ekm` and `iat`; `jti`, `htm` and `htu` count where they are.',
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
    says: 'Every request has a proof that holds for its token and connection; what is remembered is of one connection.',
  },
  {
    number: 'N-60',
    level: 'MUST',
    source: `${draft} §3.4`,
    says: 'Introspection tells `tls_exp`.',
  },
  {
    number: 'N-61',
    level: 'MUST',
    source: `${draft} §3.2`,
    says: 'A client of `tls_session_bound_access_tokens` gets no other tokens.',
  },
  {
    number: 'N-62',
    level: 'MUST',
    source: `${draft} §5`,
    says: 'Whoever verifies a proof is the end of its TLS connection.',
  },
  {
    number: 'N-63',
    level: 'ours',
    source: `${draft}, where it is silent`,
    says: 'TLS 1.2 only with the extended master secret; `iat` is judged at the first use on a connection; one header of at most 4096 characters, without `crit` or any other member; the key decides the algorithm.',
  },
]
