// The public keys of whoever signs reports of leaked tokens, where they are published: fetched when needed, kept a while.
import type { KeyObject } from 'node:crypto'
import type { FetchDetail } from '../../core/details.ts'
import { OAuthError } from '../../core/errors.ts'
import { parseUsableReporterKeys } from '../../core/leak-signature.ts'
import { createRemoteDocument, type RemoteDocumentOptions } from '../../keys/remote-document.ts'

export interface FindReporterKey {
  /** Finds the key of an identifier; undefined: no reporter that is known here has it. */
  (identifier: string): KeyObject | undefined | Promise<KeyObject | undefined>
  /** Reads the keys again, where they stand in a file. @throws Error, and then all stays as it was. */
  readonly reload?: () => void
}

/** @throws OAuthError (rejects) `reporter_unavailable` */
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
