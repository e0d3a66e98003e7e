// The public keys of reporters of leaked tokens: fetched from where they are published when needed, and cached.
import type { KeyObject } from 'node:crypto'
import type { FetchDetail } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import { parseUsableReporterKeys } from '../../core/leak-signature.ts'
import { createRemoteDocument, type RemoteDocumentOptions } from '../../keys/remote-document.ts'

export interface FindReporterKey {
  /** Finds the key of an identifier. Returns undefined if no known reporter has it. */
  (identifier: string): KeyObject | undefined | Promise<KeyObject | undefined>
  /** Reloads the keys from their file. @throws Error; the keys are then unchanged. */
  readonly reload?: () => void
}

/** Creates the key finder for an address. The finder @throws OAuthError (rejects) `reporter_unavailable` */
export function createRemoteReporterKeys(
  options: Pick<RemoteDocumentOptions, 'uri'> & Partial<RemoteDocumentOptions>,
): FindReporterKey {
  const { uri, ca, clock = () => performance.now(), timeout = 5000 } = options
  const lookUp = createRemoteDocument({ uri, ca, clock, timeout }, parseUsableReporterKeys)
  return identifier =>
    lookUp(keys => keys.get(identifier)).catch((cause: unknown) => {
      if (!(cause instanceof OAuthError)) throw cause
      const { detail, facts } = cause
      const refusal = new OAuthError('temporarily_unavailable', 'reporter_unavailable', detail as FetchDetail, facts)
      refusal.cause = cause.cause
      throw refusal
    })
}
