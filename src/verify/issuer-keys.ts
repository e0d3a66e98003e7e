// The public keys of the issuer whose tokens a resource server takes: given once, or fetched from where the issuer publishes
// them, so that its rotation is followed. Either way only they count, whatever a token points to (RFC 8725 §3.10).
import { createRemoteDocument } from '../keys/remote-document.ts'
import { importVerificationKey, readTokenJwk, type VerificationKey } from '../keys/token-keys.ts'
import type { FindKey } from './token-reader.ts'

/** The keys themselves, as the issuer's `/oauth/jwks` gives them, or that address and the authorities for it, PEM. */
export type IssuerKeys =
  | { readonly keys: readonly unknown[] }
  | { readonly uri: string; readonly ca?: string | undefined }

/** Milliseconds that the issuer has to answer. */
export const timeout = 5000

/**
 * Takes the keys into use. Those behind an address are fetched when the first token comes; `clock` in milliseconds.
 * @throws TypeError (rejects) when they are not usable, or the address is not one of https.
 */
export async function findIssuerKeys(
  jwks: IssuerKeys | undefined,
  clock: () => number = () => performance.now(),
): Promise<FindKey> {
  if (jwks !== undefined && 'uri' in jwks) return findAt(jwks, clock)
  if (!Array.isArray(jwks?.keys) || jwks.keys.length === 0)
    throw new TypeError('requireToken: jwks must have keys, at least one, or the uri of such a document')
  const keys = await importKeys(jwks.keys)
  if (keys.size !== jwks.keys.length) throw new TypeError('requireToken: two keys have the same kid')
  return kid => keys.get(kid)
}

function findAt({ uri, ca }: Extract<IssuerKeys, { uri: string }>, clock: () => number): FindKey {
  if (!/^https:\/\//i.test(uri) || !URL.canParse(uri))
    throw new TypeError('requireToken: jwks.uri must begin with https://')
  const lookUp = createRemoteDocument({ uri, ca, clock, timeout }, json => {
    const { keys } = (json ?? {}) as { readonly keys?: unknown }
    if (!Array.isArray(keys)) throw new TypeError('it has no list of keys')
    const usable = keys.filter(isUsable)
    if (usable.length === 0) throw new TypeError('none of its keys is one for access tokens')
    return importKeys(usable)
  })
  return kid => lookUp(keys => keys.get(kid))
}

async function importKeys(keys: readonly unknown[]): Promise<ReadonlyMap<string, VerificationKey>> {
  const imported = await Promise.all(keys.map(key => importVerificationKey(readTokenJwk(key))))
  return new Map(imported.map(key => [key.kid, key]))
}

/** An issuer may publish keys of other kinds and for other ends (RFC 7517 §5). */
function isUsable(key: unknown): boolean {
  try {
    return readTokenJwk(key) !== undefined
  } catch {
    return false
  }
}
