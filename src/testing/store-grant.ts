// A grant for tests.
import type { Grant } from '../store/store.ts'

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
