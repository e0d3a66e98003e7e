// A grant and a next refresh token for tests.
import type { Grant, Successor } from '../../store/store.ts'

/** Builds a grant of alice, created at second 1000, that expires at second 100 000. */
export const grant = (id: string, change: Partial<Grant> = {}): Grant => ({
  id,
  clientId: 'alice',
  subject: 'alice',
  scope: 'notes:read notes:write',
  audience: 'https://localhost:8443',
  binding: 'connection',
  certificate: 'certificate-of-alice',
  rotation: 'rotate',
  created: 1000,
  expires: 100_000,
  ...change,
})

/** Builds a next refresh token with this hash. */
export const successor = (hash: string): Successor => ({ hash, sealed: `sealed ${hash}` })
