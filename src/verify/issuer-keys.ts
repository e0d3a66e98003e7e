// The public keys of an issuer that a resource server accepts: configured, fetched from a URL, or found through the
// issuer's metadata. Key rotation is followed. Keys that a token contains or points to are never used (RFC 8725 §3.10).

import { anyRule, certificatesRule, checkOptions, isObject, type Rules } from '../core/check-options.ts'
import type { OAuthError } from '../core/errors.ts'
import { isHttpsUrl } from '../core/https-url.ts'
import { findCandidates, type IssuerAlgorithm, type IssuerKey, type KeySet, parseKeySet } from '../keys/key-set.ts'
import { createRemoteDocument, type LookUp, type Origin, type RemoteDocumentOptions } from '../keys/remote-document.ts'
import type { FindIssuerKeys } from './issuer-token.ts'

/**
 * The issuer's key set itself, or its URL. With neither, the URL comes from the issuer's metadata (RFC 8414 §3, OpenID
 * Connect Discovery §4). `ca`: authorities of the issuer's server, PEM.
 */
export type IssuerKeys =
  | { readonly keys: readonly unknown[] }
  | { readonly uri?: string | undefined; readonly ca?: string | undefined }

export interface IssuerKeysOptions {
  readonly issuer: string
  readonly algorithms: readonly IssuerAlgorithm[]
  /** Milliseconds, monotonic. */
  readonly clock?: (() => number) | undefined
  /** Milliseconds that the issuer has to answer. Default `issuerTimeout`. */
  readonly timeout?: number | undefined
  /** Called with a sentence when keys of the set are left out, once for each change. */
  readonly onWarning?: ((message: string) => void) | undefined
}

export interface IssuerKeySource {
  readonly find: FindIssuerKeys
  /** Changes when a key is removed, or is no longer for one of its algorithms. Each call also refreshes an outdated key set in the background. */
  readonly generation: () => number
}

/** Milliseconds that an issuer has to answer. */
export const issuerTimeout = 5000

/** Milliseconds between two checks of the age of a key set: `generation` is called for every request. */
const checkInterval = 1000

/**
 * Creates the key source of an issuer. Keys behind a URL are fetched for the first token.
 * @throws TypeError when an option is invalid.
 */
export function openIssuerKeys(jwks: IssuerKeys | undefined, options: IssuerKeysOptions): IssuerKeySource {
  const { issuer, algorithms, clock = () => performance.now(), timeout = issuerTimeout, onWarning = () => {} } = options
  let known: ReadonlySet<string> = new Set()
  let generation = 0
  let nextCheck = Number.NEGATIVE_INFINITY
  let warned: string | undefined
  const parse = (document: unknown, origin?: Origin): KeySet => {
    const set = parseKeySet(document, algorithms, origin)
    const names = new Set(set.keys.flatMap(namesOf))
    if ([...known].some(name => !names.has(name))) generation++
    known = names
    const warning = set.leftOut.join('; ')
    if (warning !== (warned ?? '')) {
      warned = warning
      if (warning !== '') onWarning(`ignored keys of ${issuer}: ${warning}`)
    }
    return set
  }
  if (isObject(jwks) && 'keys' in jwks) {
    // Other members may exist in a key set (RFC 7517 §5), but these two would be ignored.
    for (const name of ['uri', 'ca'])
      if (name in jwks) throw new TypeError(`jwks.${name} and jwks.keys exclude each other; omit one of them`)

    const set = withName(() => parse(jwks))
    return { find: (alg, kid) => findCandidates(set, alg, kid), generation: () => 0 }
  }
  if (jwks !== undefined) checkOptions(jwks, 'jwks', {}, addressRules)
  const { uri, ca } = jwks ?? {}
  if (uri === undefined && !isHttpsUrl(issuer))
    throw new TypeError('jwks must have keys or uri, since the issuer is not an https URL')
  const shared = { ca, clock, timeout }
  const lookUp = uri === undefined ? discover(issuer, shared, parse) : fetchKeys(uri, shared, parse)
  return {
    find: async (alg, kid) =>
      (await lookUp(set => {
        const candidates = findCandidates(set, alg, kid)
        return candidates.length > 0 ? candidates : undefined
      })) ?? [],
    generation: () => {
      const now = clock()
      if (now >= nextCheck) {
        nextCheck = now + checkInterval
        lookUp(() => true).catch(() => {}) // an old key set is fetched again, and no request waits for it
      }
      return generation
    },
  }
}

type ParseKeys = (document: unknown, origin: Origin) => KeySet

const addressRules: Rules = {
  keys: anyRule, // parsed above
  uri: { expected: 'an https URL', isValid: isHttpsUrl },
  ca: certificatesRule,
}

type Shared = Pick<RemoteDocumentOptions, 'ca' | 'clock' | 'timeout'>

function fetchKeys(uri: string, shared: Shared, parse: ParseKeys): LookUp<KeySet> {
  return createRemoteDocument({ ...shared, uri }, parse)
}

/** Finds the key set through the issuer's metadata, which must name the same issuer (RFC 8414 §3.3). */
function discover(issuer: string, shared: Shared, parse: ParseKeys): LookUp<KeySet> {
  const sets = new Map<string, LookUp<KeySet>>()
  const findAddress = discoverAddress(issuer, shared, json => parseIssuerMetadata(json, issuer))
  return async look => {
    const uri = await findAddress()
    const lookUp = sets.get(uri) ?? fetchKeys(uri, shared, parse)
    if (!sets.has(uri)) sets.clear() // the issuer has moved its key set
    sets.set(uri, lookUp)
    return lookUp(look)
  }
}

/** Creates a function that returns an address in the issuer's metadata, which `parse` reads. It rejects as `createRemoteDocument` does. */
export function discoverAddress(
  issuer: string,
  shared: Shared,
  parse: (metadata: unknown) => string,
): () => Promise<string> {
  let documents = metadataAddressesOf(issuer).map(uri => createRemoteDocument({ ...shared, uri }, parse))
  return async () => {
    const refusals: OAuthError[] = []
    for (const lookUp of documents)
      try {
        const uri = (await lookUp(uri => uri)) as string
        // Most issuers have one of the two. It is asked first from now on, so that no request waits for the other one.
        documents = [lookUp, ...documents.filter(other => other !== lookUp)]
        return uri
      } catch (error) {
        refusals.push(error as OAuthError)
      }
    // That one of the two does not exist explains nothing.
    throw refusals.find(({ facts }) => facts.found !== 404) ?? refusals[0]
  }
}

/** Returns the addresses of an issuer's metadata: OpenID Connect Discovery §4.1, then RFC 8414 §3.1. */
export function metadataAddressesOf(issuer: string): [string, string] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
}

/** Returns the address of the key set. @throws TypeError if the metadata is another issuer's, or has no such address. */
export function parseIssuerMetadata(json: unknown, issuer: string): string {
  const metadata = (json ?? {}) as { readonly issuer?: unknown; readonly jwks_uri?: unknown }
  if (metadata.issuer !== issuer) throw new TypeError(`the metadata belongs to another issuer than ${issuer}`)
  if (!isHttpsUrl(metadata.jwks_uri)) throw new TypeError('jwks_uri in the metadata is not an https URL')
  return metadata.jwks_uri
}

/** Returns a text for each algorithm of a key: a token of one that was withdrawn is no longer valid. */
function namesOf({ kid, algorithms, key }: IssuerKey): string[] {
  const jwk = key.export({ format: 'jwk' })
  return algorithms.map(algorithm => JSON.stringify([kid, algorithm, jwk]))
}

function withName<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new TypeError(`jwks: ${(error as Error).message}`)
  }
}
