// Faults in the verification of binding proofs (draft-mw-oauth-tls-session-bound-tokens §3.3): one check is missing.
import { hashToken, type ProofClaims } from '../../../../src/core/binding-proof.ts'
import { proofExporterLabel } from '../../../../src/core/channel-binding.ts'
import { parseObject } from '../../../../src/core/compact-jws.ts'
import type { Presenter } from '../../../../src/core/presenter.ts'
import { proofAlgorithmsOf, verifyProofSignature } from '../../../../src/core/proof-algorithm.ts'
import { readProof } from '../../../../src/verify/proofs.ts'
import type { Asker, Fault } from '../broken-server.ts'
import { fitWhere, thumbprintOf } from './claims.ts'

type Check = 'signature' | 'ath' | 'ekm' | 'iat'
type Cnf = Readonly<Record<string, unknown>>

/** A token at level proof, on a connection of its certificate. */
function belongs(cnf: Cnf, { connection }: Asker): boolean {
  return (
    cnf.tls_exp === proofExporterLabel && Object.keys(cnf).length === 2 && cnf['x5t#S256'] === thumbprintOf(connection)
  )
}

/** Verifies proofs with all checks but one. */
function without(left: Check): Fault {
  return fitWhere((cnf, asker) => {
    const { presenter } = asker.connection
    if (presenter === undefined || !belongs(cnf, asker)) return false
    const checks = check(readProof(asker.request) ?? '', asker, presenter)
    return Object.entries(checks).every(([name, holds]) => name === left || holds)
  })
}

function check(proof: string, { request, server }: Asker, presenter: Presenter): Record<Check, boolean> {
  const [header = '', payload = '', signature = ''] = proof.split('.')
  const [algorithm] = proofAlgorithmsOf(presenter.certificate.x509.publicKey)
  const claims = (parseObject(Buffer.from(payload, 'base64url').toString()) ?? {}) as Partial<ProofClaims>
  const token = /^bearer (.*)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const octets = Buffer.from(signature, 'base64url')
  const input = Buffer.from(`${header}.${payload}`)
  return {
    signature:
      algorithm !== undefined && verifyProofSignature(algorithm, input, presenter.certificate.x509.publicKey, octets),
    ath: claims.ath === hashToken(token),
    ekm: claims.ekm === presenter.ekm,
    iat: Math.abs((claims.iat ?? 0) - server.clock) <= 60,
  }
}

export const proofFaults = {
  /** Treats a token at level proof like one at level certificate. */
  needsNoProof: fitWhere(belongs),
  /** Requires a proof, and does not verify it. */
  readsNoProof: fitWhere((cnf, asker) => belongs(cnf, asker) && readProof(asker.request) !== undefined),
  acceptsProofsOfOtherConnections: without('ekm'),
  acceptsProofsOfOtherTokens: without('ath'),
  acceptsProofsOfOtherTimes: without('iat'),
  acceptsProofsOfOtherKeys: without('signature'),
} satisfies Record<string, Fault>
