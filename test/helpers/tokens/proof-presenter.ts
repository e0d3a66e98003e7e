// A presenter without a connection, for tests of binding proofs alone: a key, its certificate, made-up keying material.
import type { KeyObject } from 'node:crypto'
import { type ProvenRequest, verifyBindingProof } from '../../../src/core/binding-proof.ts'
import { OAuthError } from '../../../src/core/errors.ts'
import { type Presenter, readCertificate } from '../../../src/core/presenter.ts'
import { issueCertificate } from '../../../src/pki/certificate.ts'
import type { KeyPair } from '../../../src/pki/signing.ts'
import { forgeProof, goodHeader, goodPayload, proofSigners, type Signer } from './forge-proof.ts'

/** The time at which proofs are made and verified unless told otherwise. */
export const now = 1_800_000_000
export const request: ProvenRequest = { token: 'header.claims.signature', method: 'GET', target: '/notes?limit=10' }

/** What stands in place of something good. */
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
  /** Makes a good proof, but for what is given. */
  forge(forgery?: Forgery): string
  /** `accepted`, the reason of a refusal, or whatever else was thrown. */
  verdict(proof: string, at?: number, of?: ProvenRequest): string
}

const authority = issueCertificate({ subject: [['CN', 'authority']], ca: true })

/** `alg`: how it signs. `ekm`: what its connection exports; null: nothing. */
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
