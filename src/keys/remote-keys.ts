// The public keys of an external issuer at its `jwks_uri` (RFC 7517 §5), for verification with jose.
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import { createRemoteDocument, type RemoteDocumentOptions } from './remote-document.ts'

/** Finds the key for a token; rejects if there is none. */
export type FindOutsideKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>

/** Creates a function that finds keys. @throws OAuthError (rejects) `issuer_unavailable` */
export function createRemoteKeys(options: RemoteDocumentOptions): FindOutsideKey {
  const lookUp = createRemoteDocument(options, json => {
    const find = createLocalJWKSet(json as JSONWebKeySet)
    if (find.jwks().keys.length === 0) throw new TypeError('it has no keys')
    return find
  })
  return async (header, token) => {
    const key = await lookUp(find => find(header, token).catch(orNone))
    if (key === undefined) throw new errors.JWKSNoMatchingKey()
    return key
  }
}

function orNone(error: unknown): undefined {
  if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
}
