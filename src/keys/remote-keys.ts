// The public keys of an outside issuer behind its `jwks_uri` (RFC 7517 §5), for jose to verify with.
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import { createRemoteDocument, type RemoteDocumentOptions } from './remote-document.ts'

/** Finds the one key that a signature was made with; rejects when there is none. */
export type FindOutsideKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>

/** @throws OAuthError (rejects) `issuer_unavailable` */
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
