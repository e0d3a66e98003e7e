// Searches output for proofs and their keying material, in every spelling (LK01).
import type { TAP } from 'tap'
import type { TestConnection, TestServer } from '../../../src/testing/server.ts'
import { proofLabel } from './forge-proof.ts'

export interface ProofTraces {
  /** Signs a proof as the connection does, and records it. */
  prove(connection: TestConnection, ...made: Parameters<TestConnection['prove']>): string
  /** Fails if a proof or its keying material occurs in the events, in the log or in `more`. */
  expectNone(t: Pick<TAP, 'ok' | 'same'>, server: TestServer, more?: readonly unknown[]): void
}

export function traceProofs(): ProofTraces {
  const secrets = new Set<string>()
  return {
    prove(connection, ...made) {
      const exported = connection.socket.exportKeyingMaterial(32, proofLabel, Buffer.alloc(0))
      for (const form of ['hex', 'base64', 'base64url'] as const) secrets.add(exported.toString(form))
      secrets.add([...exported].join())
      const proof = connection.prove(...made)
      for (const segment of proof.split('.').slice(1)) secrets.add(segment)
      return proof
    },
    expectNone(t, { events, log }, more = []) {
      const written = JSON.stringify([events, log, more])
      t.ok(secrets.size >= 6, `${secrets.size} secrets`)
      t.ok(written.includes('proof_invalid'), 'control: the refusal is recorded')
      const found = [...secrets].filter(secret => written.includes(secret))
      t.same(found, [], 'no output contains a proof')
    },
  }
}
