// A presenter without a connection, for tests of binding proofs only: a key, its certificate, invented keying material.
import type { KeyObject } from 'node:crypto'
import { type ProvenRequest, verifyBindingProof } from '../../../src/core/binding-proof.ts'
import { OAuthError } from '../../../src/core/errors.ts'
import { type Presenter, readCertificate } from '../../../src/core/presenter.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import type { KeyPair } from '../../../src/pki/signing.ts'
import { forgeProof, goodHeader, goodPayload, proofSigners, type Signer } from './forge-proof.ts'

/** The default time at which proofs are signed and verified. */
export const now = 1_800_000_000
export const request: ProvenRequest = { token: 'header.claims.signature', method: 'GET', target: '/notes?limit=10' }

/** Replacements for the valid values. */
export interface Forgery {
  readonly header?: unknown
  readonly payload?: unknown
  readonly key?: KeyObject
  readonly sign?: Signer
}

export interface ProofPresenter {
  readonly presenter: Presenter
  readonly key: KeyObject
  readonly header: ReturnType<typeof goodHeader>
  readonly payload: ReturnType<typeof goodPayload>
  /** Signs a valid proof with these replacements. */
  forge(forgery?: Forgery): string
  /** Returns `accepted`, the reason of a refusal, or any other exception. */
  verdict(proof: string, at?: number, of?: ProvenRequest): string
}

const authority = issueCertificate({ subject: [['CN', 'authority']], ca: true })

/** `alg`: the signature algorithm. `ekm`: the keying material that its connection exports; null: none. */
export function makePresenter(alg: string, keyPair: KeyPair, ekm: string | null = 'E'.repeat(43)): ProofPresenter {
  const { x509 } = issueCertificate({ subject: [['CN', 'client']], issuer: authority, keyPair })
  const certificate = readCertificate(x509)
  const presenter = { certificate, bindings: {}, ekm: ekm ?? undefined }
  const good = {
    header: goodHeader(alg, certificate.thumbprint),
    payload: goodPayload(request.token, ekm ?? '', now),
    key: keyPair.privateKey,
    sign: proofSigners[alg] as Signer,
  }
  return {
    ...good,
    presenter,
    forge: (forgery = {}) => forgeProof({ ...good, ...forgery }),
    verdict: (proof, at = now, of = request) => verdictOf(() => verifyBindingProof(proof, of, presenter, at)),
  }
}

function verdictOf(verify: () => unknown): string {
  try {
    verify()
    return 'accepted'
  } catch (error) {
    return error instanceof OAuthError && error.code === 'invalid_proof' ? error.reason : `${error}`
  }
}
