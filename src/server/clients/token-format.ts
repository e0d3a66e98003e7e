// Whether the server can issue tokens in the format of a client. Only PASETO needs a key of its own.
import { OAuthError } from '../../core/errors.ts'
import { pasetoVersion } from '../../core/paseto.ts'
import type { KeyRing } from '../../keys/key-ring.ts'

/** Returns the refusal of a token request of a client whose format needs a key that the server does not have. */
export function formatUnavailable(): OAuthError {
  return new OAuthError('invalid_client', 'client_disabled', 'format_unavailable')
}

/**
 * Returns a sentence for each registration whose tokens no key can sign at `now`, in seconds since 1970. Members of other types are
 * reported by parseClient.
 */
export function findMissingKeys(
  registrations: readonly unknown[],
  keys: Pick<KeyRing, 'hasPaseto'>,
  now: number,
): string[] {
  if (keys.hasPaseto(now)) return []
  return registrations
    .map(entry => (entry ?? {}) as { readonly client_id?: unknown; readonly access_token_format?: unknown })
    .filter(({ access_token_format: format }) => format === 'paseto')
    .map(
      ({ client_id: id }) =>
        `client ${JSON.stringify(id)}: access_token_format paseto requires a signing key with alg ${pasetoVersion} that signs now; ` +
        `add one with tlsbound keys rotate --algorithm ${pasetoVersion}`,
    )
}

/** @throws TypeError that names each registration whose tokens no key can sign. */
export function requireKeys(...given: Parameters<typeof findMissingKeys>): void {
  const problems = findMissingKeys(...given)
  if (problems.length > 0) throw new TypeError(problems.join('\n'))
}
