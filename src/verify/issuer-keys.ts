// The public keys of the issuer whose tokens a resource server accepts: given, fetched from where the issuer publishes them, or
// found by the issuer's name. Its rotation is followed. Only these keys count, whatever a token points to (RFC 8725 §3.10).

import { findCandidates, type IssuerAlgorithm, type IssuerKey, type KeySet, parseKeySet } from '../keys/key-set.ts'
import { createRemoteDocument, type LookUp, type RemoteDocumentOptions } from '../keys/remote-document.ts'
import type { FindIssuerKeys } from './issuer-token.ts'

/**
 * The keys themselves, as the issuer's key set has them; or the URL of that set; or neither, and the set is found in the
 * metadata of the issuer (RFC 8414 §3, OpenID Connect Discovery §4). `ca`: authorities of the issuer's server, PEM.
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
  /** Changes when a key that was there is gone. Asking for it keeps a fetched key set fresh. */
  readonly generation: () => number
}

/** Milliseconds that an issuer has to answer. */
export const issuerTimeout = 5000

/** Opens the keys of an issuer; those behind a URL are fetched when the first token comes. @throws TypeError when they are unusable. */
export function openIssuerKeys(jwks: IssuerKeys | undefined, options: IssuerKeysOptions): IssuerKeySource {
  const { issuer, algorithms, clock = () => performance.now(), timeout = issuerTimeout, onWarning = () => {} } = options
  let known: ReadonlySet<string> = new Set()
  let generation = 0
  let warned: string | undefined
  const parse = (document: unknown): KeySet => {
    const set = parseKeySet(document, algorithms)
    const names = new Set(set.keys.map(nameOf))
    if ([...known].some(name => !names.has(name))) generation++
    known = names
    const warning = set.leftOut.join('; ')
    if (warning !== (warned ?? '')) {
      warned = warning
      if (warning !== '') onWarning(`keys of ${issuer} that are left out: ${warning}`)
    }
    return set
  }
  if (jwks !== undefined && 'keys' in jwks) {
    const set = withName(() => parse(jwks))
    return { find: (alg, kid) => findCandidates(set, alg, kid), generation: () => 0 }
  }
  const { uri, ca, ...others } = jwks ?? {}
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new TypeError(`jwks.${unknown} is not known: jwks has keys, or uri and ca`)
  if (uri !== undefined && !isHttps(uri)) throw new TypeError('jwks.uri must begin with https://')
  if (uri === undefined && !isHttps(issuer))
    throw new TypeError('jwks must have keys or uri where the issuer is no https address')
  const shared = { ca, clock, timeout }
  const lookUp = uri === undefined ? discover(issuer, shared, parse) : fetchKeys(uri, shared, parse)
  return {
    find: async (alg, kid) =>
      (await lookUp(set => {
        const candidates = findCandidates(set, alg, kid)
        return candidates.length > 0 ? candidates : undefined
      })) ?? [],
    generation: () => {
      lookUp(() => true).catch(() => {}) // fetched again when it is old, without making a request wait
      return generation
    },
  }
}

type Shared = Pick<RemoteDocumentOptions, 'ca' | 'clock' | 'timeout'>

function fetchKeys(uri: string, shared: Shared, parse: (document: unknown) => KeySet): LookUp<KeySet> {
  return createRemoteDocument({ ...shared, uri }, parse)
}

/** Looks the key set up in the issuer's metadata, where the issuer must name itself (RFC 8414 §3.3). */
function discover(issuer: string, shared: Shared, parse: (document: unknown) => KeySet): LookUp<KeySet> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const readMetadata = (json: unknown): string => {
    const metadata = (json ?? {}) as { readonly issuer?: unknown; readonly jwks_uri?: unknown }
    if (metadata.issuer !== issuer) throw new TypeError(`it is the metadata of another issuer than ${issuer}`)
    if (!isHttps(metadata.jwks_uri)) throw new TypeError('its jwks_uri is no https address')
    return metadata.jwks_uri
  }
  const documents = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ].map(uri => createRemoteDocument({ ...shared, uri }, readMetadata))
  const sets = new Map<string, LookUp<KeySet>>()
  const findAddress = async (): Promise<string> => {
    let refusal: unknown
    for (const lookUp of documents)
      try {
        return (await lookUp(uri => uri)) as string
      } catch (error) {
        refusal ??= error
      }
    throw refusal
  }
  return async look => {
    const uri = await findAddress()
    const lookUp = sets.get(uri) ?? fetchKeys(uri, shared, parse)
    if (!sets.has(uri)) sets.clear() // the issuer has moved its keys
    sets.set(uri, lookUp)
    return lookUp(look)
  }
}

/** What tells a key from all others. */
function nameOf({ kid, key }: IssuerKey): string {
  return JSON.stringify([kid, key.export({ format: 'jwk' })])
}

function withName<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new TypeError(`jwks: ${(error as Error).message}`)
  }
}

function isHttps(value: unknown): value is string {
  return typeof value === 'string' && /^https:\/\//i.test(value) && URL.canParse(value)
}
